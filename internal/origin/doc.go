// Package origin decides which web pages a server serves.
//
// [List] decides whether a page may open a WebSocket, by the Origin header of
// its request. Pages of the host itself and of allowed origins may (RFC 6454,
// RFC 6455 section 10.2).
//
// One function parses both the patterns and the headers, so that they are
// compared in one form: lower-case schemes and hosts, and no port if it is the
// scheme's default.
//
// [Hosts] is the check of the Host header.
package origin
