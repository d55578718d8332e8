// Command tokens is a server whose clients need a JSON Web Token.
//
//	(printf hex: && openssl rand -hex 32) > secret
//	go run ./examples/tokens -secret-file secret
//	go run ./cmd/stoa token new --user ann --secret-file secret
//
// It takes tokens from the Authorization header, from the URL parameter that
// neffos.js sends in browsers in place of it, from the cookie "token" and from
// the URL parameter "token". A client of the namespace "default" asks "whoami"
// and gets its user.
package main
