import { createCore, deliver, dispatch, look, obtain, observe, tokenOf, wake } from "./core.js";
import { TacetError } from "./error.js";
import { statusOf } from "./state.js";
const EVENTS = ["pageshow", "pagehide", "visibilitychange", "online", "storage"];
export const createSessionOn = (platform, options = {}) => {
  const core = createCore(platform, options);
  const life = new AbortController();
  for (const type of EVENTS)
    platform.addEventListener?.(type, (event) => live(core, event), life);
  look(core);
  return {
    fetch: core.fetch,
    send: core.send,
    on: core.on,
    // Patience may run out: the renewal goes on.
    ready: obtain(core).catch(() => {
    }).then(() => core.J),
    me: () => takeMe(core),
    getAccessToken: async () => (await obtain(core))?.access_token,
    renew: ({ force } = {}) => renewNow(core, force),
    signIn: (credentials) => signIn(core, { ...credentials, delivery: options.delivery }),
    signOut: ({ everywhere } = {}) => signOut(core, everywhere),
    get user() {
      return core.e.token && core.user;
    },
    get status() {
      return statusOf(core.e, observe(core));
    },
    destroy: () => {
      life.abort();
      dispatch(core, { type: "destroy" });
      core.close();
    }
  };
};
const live = (core, { type, key, persisted }) => {
  if (key && key !== core.name)
    return;
  if (type === "pagehide")
    return core.close();
  if (type === "pageshow")
    core.open();
  look(core);
  wake(core, { online: type === "online", A: persisted });
};
const takeMe = (core) => {
  const { me } = core;
  core.me = void 0;
  return me;
};
const renewNow = async (core, force) => {
  const { token } = core.e;
  if (force && token)
    dispatch(core, { type: "response", token, k: "", S: false, O: false });
  if (!await obtain(core))
    throw core.e.a;
};
const signOut = async (core, everywhere) => {
  core.delivery = void 0;
  dispatch(core, { type: "signout", everywhere });
  return !core.e.u && (core.delivery ?? deliver(core));
};
const signIn = async (core, body) => {
  const { f: signOuts } = core.e;
  if (core.e.u)
    throw core.e.a;
  const reply = await core.g(() => core.v("/login", body));
  if (!reply.w?.user)
    throw new TacetError(reply.code ?? "unavailable", reply);
  const token = tokenOf(core, reply.w);
  dispatch(core, { type: "signedin", token, f: signOuts });
  if (core.e.session !== token.session)
    throw core.e.a;
  return reply.w.user;
};
