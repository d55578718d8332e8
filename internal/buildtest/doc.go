// Package buildtest builds the stoa program for tests that run it as a process.
package buildtest
