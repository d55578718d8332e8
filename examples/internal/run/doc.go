// Package run is what every example needs and none is about: it listens, says
// where, and ends cleanly when it is told to.
package run
