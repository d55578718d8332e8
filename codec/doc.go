// Package body turns the bodies of messages into values and back. Package node and
// package client have its types under their own names, so that a codec that is
// written for one of them fits the other.
package body
