import { dispatch, obtain } from "./core.js";
import { TacetError } from "./error.js";
import { isCurrent } from "./state.js";
export const flow = async (core, { method, url, signal }, transmit, once) => {
  const id = ++core.R;
  const { t: epoch } = core.e;
  const { origin, pathname } = new URL(url, core.r.location?.href);
  const step = (type, detail) => core.h(type, detail, id);
  const checkEpoch = () => {
    if (core.e.t !== epoch)
      throw core.e.a;
  };
  step("request", { method, url });
  try {
    for (let repeat = 0; ; repeat = 1) {
      const token = core.U.has(origin) ? await obtain(core, signal, once, () => step("held")) : void 0;
      checkEpoch();
      if (repeat && once)
        throw new TacetError("not_repeatable");
      step(repeat ? "repeat" : "sent");
      const response = await transmit(token?.access_token, repeat);
      const { status } = response;
      if (token) {
        const isAccepted = status !== 401;
        if (!isAccepted) {
          step("unauthorized");
          checkEpoch();
        }
        dispatch(core, { type: "response", token, k: origin + pathname, S: isAccepted, O: !!repeat });
        if (!isAccepted && !repeat && (core.e.refused || !isCurrent(core.e, token)))
          continue;
      }
      step("settled", status);
      return response;
    }
  } catch (error) {
    step("settled", error);
    throw error;
  }
};
