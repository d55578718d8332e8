// Package archtest tests the rules of this repository that no compiler checks.
//
// It holds the map in ARCHITECTURE.md, which says what each package may import;
// the package comments; the size of files, functions and packages; and the
// habits that keep libraries quiet and tests quick. It contains nothing but
// tests. They read the sources of the whole module, other modules inside this
// repository excepted. A new package needs a row in the map.
package archtest
