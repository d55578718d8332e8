// Package wire is the message protocol of Stoa as a pure codec.
package wire
