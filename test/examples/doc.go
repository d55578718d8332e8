// Package examples tests those programs of examples that do not speak Stoa's
// protocol, as processes and with raw frames. It contains nothing but tests. The
// other examples are tested with the clients of neffos, in test/compat/go and test/compat/js.
package examples
