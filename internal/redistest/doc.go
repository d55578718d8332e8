// Package redistest starts real Redis servers and Sentinels for tests, and breaks
// them: kill, pause, restart on the same port, and cut the network in between.
//
// StartSecure starts one with TLS and users.
//
// Every server listens on 127.0.0.1 on a port that was free, keeps nothing on disk,
// works in the test's temporary directory and ends with the test. Nothing of it
// needs a configuration file but the Sentinels, which write one. redis-server must be
// in the path.
package redistest
