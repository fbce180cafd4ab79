import { fetchWith } from "../adapters/fetch.js";
import { createTabs } from "./channel.js";
import { TacetError } from "./error.js";
import { createEvents } from "./events.js";
import { createLock } from "./lock.js";
import { renew } from "./renewal.js";
import { flow } from "./requests.js";
import { initial, isCurrent, isNobody, isOver, isUsable, reduce, renewAfter } from "./state.js";
import { createStore } from "./storage.js";
import { createPost, csrf } from "./transport.js";
export const createCore = (platform, options) => {
  const { baseURL = "/auth", storage, delivery, origins = [], share = true, timeout = 1e4, leeway = 6e4 } = options;
  if (!platform.document && delivery !== "body")
    throw new TacetError("unsupported", { title: "Cookies need a page. In a worker use delivery: 'body'." });
  const base = new URL(baseURL, platform.location?.href).href;
  const name = "tacet:" + base;
  const isBody = delivery === "body";
  const store = createStore(platform, name);
  const stored = store.p();
  const tabs = createTabs(platform, name, (message) => hear(core, message));
  const send = (...request) => flow(core, ...request);
  const core = {
    ...store,
    ...tabs,
    ...createLock(platform, name, timeout, tabs),
    ...createEvents(platform, options),
    send,
    fetch: fetchWith(send, platform),
    v: createPost(platform, base, timeout, isBody),
    r: platform,
    D: base,
    name,
    I: [],
    R: 0,
    c: isBody,
    j: storage === "localStorage",
    m: share,
    e: initial(leeway, timeout, stored?.type === "ended" ? stored : void 0),
    U: /* @__PURE__ */ new Set([new URL(platform.location?.href ?? base).origin, new URL(base).origin, ...origins])
  };
  tabs.open();
  return core;
};
export const generationOf = ({ c: isBody, p: read, r: platform }) => isBody ? read()?.generation ?? "" : csrf(platform.document?.cookie);
export const observe = (core) => {
  const { performance, Date } = core.r;
  return { now: performance.now(), C: Date.now(), generation: generationOf(core) };
};
export const dispatch = (core, message) => {
  core.e = reduce(core.e, { ...message, ...observe(core) });
  for (const effect of core.e.o)
    perform(core, effect);
  if (core.e.renewing && core.b !== core.e.t)
    void renew(core);
};
const perform = (core, [type, detail, isNew]) => {
  if (type === "settle")
    return core.I.splice(0).forEach((settle) => settle(detail));
  if (type !== "deliver")
    core.h(type, detail);
  if (type === "renewed")
    adopted(core, detail.from, isNew);
  if (type === "deliver") {
    core.x(detail);
    core.s({ type: "ended", session: detail.session });
    core.delivery = deliver(core);
  }
};
export const obtain = async (core, signal, once, held) => {
  const now = observe(core);
  if (core.e.u)
    throw core.e.a;
  if (!isNobody(core.e, now) && !isUsable(core.e, now)) {
    const turn = wait(core, signal);
    held?.();
    dispatch(core, { type: "need" });
    await turn.catch((error) => {
      if (once || signal?.aborted || !isUsable(core.e, observe(core), true))
        throw error;
    });
  }
  return core.e.token;
};
const wait = ({ I: waiting }, signal) => new Promise((resolve, reject) => {
  signal?.throwIfAborted();
  signal?.addEventListener("abort", () => reject(signal.reason));
  waiting.push((error) => error ? reject(error) : resolve());
});
export const tokenOf = (core, { refresh_token, session, ...grant }) => ({
  ...grant,
  received: core.r.Date.now(),
  session: session.id,
  generation: core.c && refresh_token || generationOf(core)
});
const adopted = (core, from, isNew) => {
  const { r: platform, c: isBody, e: state } = core;
  const { generation } = state;
  if (isNew)
    core.user = state.token?.user;
  const token = state.token && { ...state.token, user: core.user };
  if (!token)
    return;
  platform.setTimeout(() => isCurrent(core.e, token) && core.e.E && wake(core), renewAfter(state, token) + 50);
  if (from === "network" && core.m)
    core.s({ type: "token", token });
  if (from === "network" || isBody && !(core.p() && core._()))
    core.x(core.j ? { type: "token", generation, token } : isBody ? { type: "refresh", generation } : void 0);
  if (isNew)
    core.J = identify(core, token);
};
const identify = async (core, { session, user }) => {
  const me = async () => {
    core.me = await core.fetch(core.D + "/me");
    return (await core.me.clone().json()).user;
  };
  const known = user ?? await me().catch(() => {
  });
  await void 0;
  if (core.e.session === session)
    core.h("signedin", core.user = known);
};
export const wake = (core, more) => dispatch(core, { type: "wake", hidden: !!core.r.document?.hidden, ...more });
const hear = (core, message) => {
  const { e: state, m: isShared } = core;
  if (message.type === "token")
    offer(core, message.token, "tab");
  if (message.type === "ask" && isShared && state.token && isUsable(state, observe(core)))
    core.s({ type: "token", token: state.token });
  if (message.type === "claim")
    core.N(message.claim);
  if (message.type === "ended")
    dispatch(core, message);
};
const offer = (core, token, from) => {
  const generation = generationOf(core);
  dispatch(core, { type: "offered", token, from, L: generation === token.generation || core.c && !(generation && core._()) });
};
export const look = (core) => {
  const record = core.p();
  if (record?.type === "token")
    offer(core, record.token, "storage");
  if (record?.type !== "ended")
    return;
  void deliver(core);
  dispatch(core, { ...record, M: record.generation });
};
export const deliver = async (core) => {
  const send = async () => {
    const record = core.p();
    if (record?.type !== "ended" || !isOver(generationOf(core), record.generation))
      return true;
    const { everywhere, generation } = record;
    const { status } = await core.v("/logout", { everywhere, refresh_token: core.c ? generation : void 0 });
    if (status === 204)
      core.x();
    return status === 204;
  };
  return core.g(send).catch(() => false);
};
