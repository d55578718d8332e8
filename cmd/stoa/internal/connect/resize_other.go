//go:build !unix

package connect

// onResize does nothing, because this system does not signal a resize.
func onResize(func()) (stop func()) { return func() {} }
