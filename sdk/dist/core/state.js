import { TacetError } from "./error.js";
export const PATIENCE = 5e3;
export const PAUSE = 400;
const LONG = 2500;
const DOUBT = 400;
const REJECTED = 1;
export const initial = (leeway, timeout, ended) => ({
  leeway,
  timeout,
  generation: ended?.generation ?? "",
  i: 0,
  y: {},
  t: 0,
  a: new TacetError("signedout"),
  f: 0,
  d: 0,
  n: 0,
  o: []
});
export const renewAfter = ({ leeway }, { expires_in }) => expires_in * 1e3 - Math.min(leeway, expires_in * 200);
export const isUsable = (s, { C: time }, late) => !!s.token && !s.refused && Math.abs(time - s.token.received) < (late ? s.token.expires_in * 1e3 : renewAfter(s, s.token));
export const isCurrent = (s, token) => s.token?.access_token === token.access_token;
export const isOver = (generation, last) => generation === last || parseInt(generation) > parseInt(last);
export const isNobody = (s, { generation }) => !s.token && (!generation || isOver(generation, s.generation));
export const statusOf = (s, now) => s.token ? "signedin" : s.u || isNobody(s, now) ? "signedout" : s.d ? "offline" : "loading";
const settle = (s, error) => {
  if (s.l)
    s.o.push(["settle", error]);
  s.l = void 0;
};
const cut = (s, over = new TacetError("signedout")) => {
  settle(s, over);
  s.a = over;
  s.t++;
  s.token = s.session = void 0;
  s.renewing = s.refused = false;
  s.d = s.n = 0;
};
const end = (s, { generation }, reason, over) => {
  cut(s, over);
  s.generation = generation;
  s.o.push(["signedout", { reason }]);
};
const endForAll = (s, m, reason, everywhere) => {
  const { session } = s;
  end(s, m, reason);
  s.o.push(["deliver", { type: "ended", generation: m.generation, session, everywhere }]);
};
const adopt = (s, m, token, from) => {
  const { session, generation } = token;
  const isSame = s.session === session;
  if (s.session && !isSame)
    cut(s);
  s.i = isSame ? m.now + (from === "network" && s.i === REJECTED ? s.timeout : DOUBT) : 0;
  s.o.push(["renewed", { from }, !isSame || !s.token]);
  Object.assign(s, { token, session, generation, refused: false, E: false, d: 0, n: 0 });
  if (!isUsable(s, m, true))
    return;
  s.renewing = false;
  settle(s);
};
const need = (s, { now }) => {
  s.l ??= now + PATIENCE;
  s.renewing = true;
  if (!s.T?.retryAfter)
    s.n = Math.min(s.n, now + LONG);
  else if (s.n > s.l)
    settle(s, s.T);
};
const failed = (s, { now, error, P: pause }) => {
  const left = (s.l ?? Infinity) - now;
  s.d++;
  s.T = error;
  s.n = now + (error.retryAfter ?? Math.min(pause, Math.max(PAUSE, left)));
  s.o.push(["failed", error]);
  if ((error.retryAfter ?? 0) >= left)
    settle(s, error);
  s.renewing = !s.token || !!s.l;
};
const signedIn = (s, m) => {
  const { generation, session } = m.token;
  if (m.f === s.f) {
    cut(s);
    return adopt(s, m, m.token, "network");
  }
  if (!s.session)
    s.generation = generation;
  s.o.push(["deliver", { type: "ended", generation, session, everywhere: false }]);
};
const response = (s, m) => {
  if (!isCurrent(s, m.token))
    return;
  const until = Math.max(s.i, s.y[m.k] ?? 0);
  if (m.S) {
    s.E = true;
    s.i = 0;
  } else if (m.O) {
    s.y = { ...s.y, [m.k]: m.now + s.timeout };
    if (s.i)
      s.i = REJECTED;
  } else
    s.refused = m.now > until;
};
const wake = (s, m) => {
  const isChanged = m.generation !== s.generation;
  if (m.online)
    s.n = 0;
  if (m.A && s.session && !m.generation)
    return end(s, m, "tab");
  if (m.A && s.session && isChanged) {
    s.token = void 0;
    s.generation = "";
  }
  if (!m.hidden && !isNobody(s, m) && (isChanged || !isUsable(s, m)))
    s.renewing = true;
};
const handlers = {
  need,
  wake,
  failed,
  response,
  signedin: signedIn,
  granted: (s, m) => adopt(s, m, m.token, "network"),
  // Not that of a session that is over here.
  offered: (s, m) => isNobody(s, m.token) || isCurrent(s, m.token) || !m.L || adopt(s, m, m.token, m.from),
  refused: (s, m) => m.error.code === "other_session" ? end(s, m, m.error.code, m.error) : endForAll(s, m, m.error.code),
  ended: (s, m) => isNobody(s, m) || m.M !== m.generation && m.session !== s.session || end(s, m, "tab"),
  signout: (s, m) => {
    s.f++;
    if (!isNobody(s, m))
      endForAll(s, m, "signedout", m.everywhere);
  },
  destroy: (s) => {
    cut(s, new TacetError("unavailable"));
    s.u = true;
  }
};
export const reduce = (state, m) => {
  const s = { ...state, o: [] };
  if (!s.u && (m.t ?? s.t) === s.t)
    handlers[m.type](s, m);
  return s;
};
