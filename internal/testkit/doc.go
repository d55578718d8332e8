// Package testkit holds the helpers that the tests of several packages share. It
// is for tests only.
package testkit
