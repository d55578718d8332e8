// Package redistest starts real Redis servers for tests. It can kill, pause and
// restart a server on the same port, and cut its network.
//
// Proxies stand for the network and for other servers: StartProxy,
// StartThrottle, and StartRefuser, whose server refuses commands.
//
// StartSecure starts one with TLS and users.
//
// Every server listens on a free port of 127.0.0.1, keeps nothing on disk,
// works in the test's temporary directory and ends with the test. Only the
// Sentinels need a configuration file, which they write. redis-server must be
// in the path.
package redistest
