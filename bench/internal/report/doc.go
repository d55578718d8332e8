// Package report prints the results of a benchmark as tables.
//
// A Result is one figure: the values of all runs, of stoa and of the floor,
// with an optional goal. It is printed as a median with its range, the ratio to
// the floor, and a verdict on the goal. WriteRow prints the results of one row
// as text or as Markdown.
//
// The package uses the standard library only and measures nothing.
package report
