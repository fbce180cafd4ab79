// Package idp signs people in by way of identity providers that exist: the
// authorization code flow of OpenID Connect Core with PKCE (RFC 7636), and
// OpenID Connect Back-Channel Logout 1.0.
//
// # What is a provider's and what is ours
//
// A provider says who somebody is, once, at the sign-in. From then on the
// session is one of package session like any other: its lifetime, its silent
// renewal and its end are ours, and the provider is not asked again. Its tokens
// are used within the sign-in and then forgotten: none is stored.
//
// # Trust
//
// What comes through the browser is trusted only if it fits what [Service.Begin]
// left there, sealed: state, nonce and PKCE verifier bind the response to the
// browser and to the provider that was asked (RFC 9700 §4.4, RFC 9207). What
// comes from the provider is trusted if it is signed as its metadata says, by an
// algorithm with a public key.
//
// The package knows nothing of HTTP servers, cookies or SQL.
package idp
