// Package demo is the page that `tacet dev` serves at / and the handlers behind
// it. It wraps the real server and changes nothing about it: it forwards every
// request, watches what goes in and out, and injects the faults that the page's
// buttons ask for (a response that is lost, a 503, a slow answer, an access token
// that the demo API refuses, a thief with a copy of the refresh token).
//
// Everything it remembers belongs to one browser, told apart by a cookie of its
// own, is bounded, lives in memory and is dropped after an hour without use.
// Nothing of this package is reachable in `tacet serve`.
//
// # Routes
//
//	GET  /                      the page; gives the browser its demo cookie
//	GET  /assets/*              its scripts and styles
//	GET  /demo/stream           what happens, as server-sent events: the server's clock, then
//	                            one Entry each (Last-Event-ID resumes)
//	POST /demo/faults           {"lose","unavailable","slow"}: how many of the next renewals
//	POST /demo/expire           the demo API refuses every access token given out so far
//	POST /demo/thief/renew      the thief presents their copy
//	POST /demo/thief/read       the thief calls the demo API
//	POST {base}/demo/steal      copies the refresh cookie to the thief (below the base
//	                            path, because the browser sends the cookie nowhere else)
//	     /api/demo/*            the API that the page calls, behind Config.Protect
//	     anything else          Config.Auth
package demo
