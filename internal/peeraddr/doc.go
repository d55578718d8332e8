// Package peeraddr finds the address of a client behind proxies.
//
// A proxy names its client in a field of the request, X-Forwarded-For or
// Forwarded (RFC 7239), or in a header in front of the connection, the PROXY
// protocol. A client can send all of them itself, so only the word of proxies
// in trusted [Networks] counts. The functions are pure: they get bytes and
// return addresses.
package peeraddr
