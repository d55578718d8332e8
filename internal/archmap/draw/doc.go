// Draw writes docs/architecture.svg, the drawing of the packages in
// ARCHITECTURE.md. `make docs-map` runs it at the top of the module.
package main
