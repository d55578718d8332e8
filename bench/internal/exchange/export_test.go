//go:build linux

package exchange

// Measure is what Run does, without flags.
var Measure = measure
