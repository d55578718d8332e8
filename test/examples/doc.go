// Package examples tests the examples that do not speak Stoa's protocol. It
// runs them as processes and sends raw frames. It contains nothing but tests.
// The clients of neffos test the other examples, in test/compat/go and
// test/compat/js.
package examples
