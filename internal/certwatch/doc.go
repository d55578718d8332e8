// Package certwatch serves a TLS certificate that follows its files: it reads
// them again when they change. It imports the standard library only.
package certwatch
