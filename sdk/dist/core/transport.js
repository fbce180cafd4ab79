import { TacetError } from "./error.js";
const FINAL = /^40[013] invalid_grant$| other_session$/;
export const isFinal = ({ status, code }) => FINAL.test(`${status} ${code}`);
const retryAfter = (headers, time) => {
  const value = headers.get("retry-after") ?? "";
  const ms = +value * 1e3 || Date.parse(value) - (Date.parse(headers.get("date") ?? "") || time);
  return ms > 0 ? ms : void 0;
};
export const csrf = (cookies = "") => /(?:^|; )(?:__Host-)?tacet_csrf=([^;]+)/.exec(cookies)?.[1] ?? "";
export const createPost = (platform, base, timeout, isBody) => async (path, data) => {
  try {
    const response = await platform.fetch(base + path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf-token": isBody ? "" : csrf(platform.document?.cookie) },
      body: JSON.stringify(data),
      credentials: isBody ? "omit" : "include",
      keepalive: true,
      signal: platform.AbortSignal.timeout(timeout)
    });
    const { headers, status, ok } = response;
    const json = await response.json().catch(() => {
    });
    return {
      ...headers.get("content-type")?.startsWith("application/problem+json") && json,
      w: ok && json?.access_token ? json : void 0,
      status,
      retryAfter: retryAfter(headers, platform.Date.now())
    };
  } catch (cause) {
    throw new TacetError("network", { cause });
  }
};
