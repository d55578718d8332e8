// Package protocol encodes the frames that a load exchanges with a server.
//
// It knows just enough of RFC 6455 and of Stoa's message protocol for a load
// generator and for the servers that it is pointed at. It does not use package
// wire: encoding and decoding every message would turn the load into the
// bottleneck. A MessageTemplate or AskTemplate is encoded and masked once. Per
// message only the digits of a number change, and a received frame is compared
// byte for byte with the expected one.
//
// The package uses the standard library only and does no I/O.
package protocol
