// Package serve is "stoa serve": a node with the configuration that package
// config has read.
//
// Without a file that is the demo configuration: one open namespace, "default",
// relays emits, broadcasts and asks. With Redis servers the node joins a
// cluster (clusternode.go).
// One port serves the WebSocket endpoint and the demo page (demo.go, demo/).
// The pages of package ops are on the same port or on an internal one (http.go,
// internalport.go).
//
// # Reloads
//
// SIGHUP and the control socket read the configuration again (reload.go). All
// checks are before the first change: those of the file, of its mixture with
// the running values of keys that need a restart (config.Config.Reload), of the
// files with keys and certificates. Pages that depend on keys are replaced as a
// whole (http.go). The accept handler of a node with authentication reads the
// verifiers in force for each request (authentication.go).
//
// # Output
//
// Standard output is for people: on start it shows the address to open and how
// many connections fit (banner.go, capacity.go). Standard error is the log.
// With --log-format json standard output stays empty, and the record "serving"
// of the log has the same facts, so no stream mixes prose with records.
//
// # Passwords
//
// The URLs of Redis servers may contain passwords. They come from flags or from
// the environment and reach package cluster only. Streams, pages and metrics
// name a server by its address.
//
// # Processors
//
// Without --loops there is one event loop per processor that Go may use. If
// there are more loops than GOMAXPROCS, GOMAXPROCS is raised to their number.
package serve
