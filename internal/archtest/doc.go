// Package archtest holds what the structure of this repository promises and no
// compiler checks: which package may import which, that every package says in its
// doc.go what it is for, how long a file and a function may be, and the habits
// that keep libraries quiet and tests quick.
//
// It contains nothing but tests. They read the sources of the whole module, other
// modules inside this repository excepted. A package that is new needs a line in
// the table of imports, where it says what it needs.
package archtest
