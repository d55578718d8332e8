// Package handlers runs a node whose handlers answer the load.
//
// The node is embedded in a program, unlike stoa, which has no handlers of its
// own. It answers an ask with the ask's body, counts emits, and answers an ask
// with that count. Like any program it leaves Go's runtime at its defaults.
//
// Run is the main function of the process. The package imports node, metrics
// and internal/load's protocol. It exists on Linux only.
package handlers
