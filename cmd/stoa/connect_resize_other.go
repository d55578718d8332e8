//go:build !unix

package main

// onResize does nothing: this system does not tell programs that the terminal has
// another size.
func onResize(func()) (stop func()) { return func() {} }
