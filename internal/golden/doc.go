// Package golden loads the recorded conversations in wire/testdata/golden for
// tests.
//
// A conversation is what one or more real clients and a real server said to
// each other: frames in the order in which a proxy between them saw them, and
// the callbacks that ran at both ends. wire/testdata/golden/README.md
// describes the files; the TypeScript tests read the same ones.
//
// Only tests import this package. The files are read from the source tree at
// run time, so no program carries them.
package golden
