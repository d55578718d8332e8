// Package archmap reads the package map in ARCHITECTURE.md. It compares the map
// with the sources of the module, and draws the packages with their imports.
//
// The map is the section "The map" of the page: tables with the columns
// "where", "what" and "may import", each below a heading that names a [Group].
// The first column names packages; "examples/..." stands for all packages below
// a folder that have no row of their own. The last column is empty for folders
// without Go packages, and otherwise lists, separated by commas:
//
//	–              only the standard library (alone in its cell)
//	all            every package (alone in its cell; for programs)
//	session        a package of this module, by its path or the end of it
//	gobwas/ws      a module in go.mod; github.com/ and the version are left out
//	pure           no input or output: none of [pure]
//	no net/http    not this package of the standard library, nor those below it
//
// Tests may import every package. The package has no knowledge of particular
// packages of the module; internal/archtest holds the rules, and
// internal/archmap/draw writes docs/architecture.svg. It imports the standard
// library only.
package archmap
