import { dispatch, generationOf, look, tokenOf } from "./core.js";
import { TacetError } from "./error.js";
import { PAUSE } from "./state.js";
import { isFinal } from "./transport.js";
const LONGEST = 6e4;
const STEP = 30;
const ON_ITS_WAY = 40;
const PERHAPS = 1;
const sleep = ({ r: platform }, ms = STEP) => new Promise((resolve) => platform.setTimeout(resolve, ms));
const isWanted = ({ e: state }, epoch) => state.renewing && state.t === epoch;
export const renew = async (core) => {
  const { t: epoch } = core.e;
  core.b = epoch;
  await void 0;
  let asked;
  while (isWanted(core, epoch)) {
    const pause = core.e.n - core.r.performance.now();
    look(core);
    if (pause > 0)
      await sleep(core, Math.min(pause, 10 * STEP));
    else if (mustAsk(core, asked)) {
      asked = generationOf(core);
      await ask(core, epoch);
    } else
      await core.g(() => turn(core, epoch, asked)).catch((error) => fail(core, epoch, error));
  }
  if (core.b === epoch)
    core.b = void 0;
};
const mustAsk = (core, asked) => {
  const generation = generationOf(core);
  return core.m && generation !== core.e.generation && generation !== asked;
};
const ask = async (core, epoch) => {
  core.s({ type: "ask" });
  for (let n = core.e.token ? ON_ITS_WAY : PERHAPS; n && isWanted(core, epoch); n--)
    await sleep(core);
};
const turn = async (core, epoch, asked) => {
  look(core);
  if (!isWanted(core, epoch) || mustAsk(core, asked))
    return;
  const sent = generationOf(core);
  core.h("renewing");
  const reply = await core.v("/refresh", { session: core.e.session, refresh_token: core.c ? sent : void 0 });
  const { w: grant } = reply;
  if (grant)
    return dispatch(core, { type: "granted", token: tokenOf(core, grant), t: epoch });
  const generation = generationOf(core);
  if (generation && generation !== sent && reply.status < 409)
    return;
  if (!isFinal(reply))
    throw new TacetError("unavailable", reply);
  dispatch(core, { type: "refused", error: new TacetError(reply.code, reply), t: epoch });
};
const fail = (core, epoch, cause) => {
  const error = cause instanceof TacetError ? cause : new TacetError("unavailable", { cause });
  const pause = Math.min(PAUSE * 2 ** core.e.d, LONGEST) * (1 + Math.random());
  dispatch(core, { type: "failed", error, t: epoch, P: pause });
};
