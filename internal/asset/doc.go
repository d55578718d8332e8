// Package asset serves embedded files to browsers.
package asset
