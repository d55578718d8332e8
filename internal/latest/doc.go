// Package latest holds the newest value of each key, within limits.
package latest
