// Package jsonfield reads one field of a JSON object, and does not decode the
// rest.
package jsonfield
