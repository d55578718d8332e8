package auth

import "fmt"

// A FieldError is a mistake in a configuration. Errors of JWTConfig.Check,
// NewJWT and NewKeys that are about one field are, or join, FieldErrors.
type FieldError struct {
	// Field is the path of the field in JWTConfig, such as "JWKS.URL", or
	// "Keys" or "APIKeys".
	Field string
	// Index is the place of the key in Keys or APIKeys, and Name its ID or
	// Name.
	Index int
	Name  string
	// Value is the wrong value, empty if it is long, secret or of no use.
	Value string
	// Err is the reason, without the field and the value.
	Err error
}

// Error returns one line with all fields.
func (e *FieldError) Error() string {
	place := e.Field
	switch {
	case e.Field == fieldKeys:
		place = fmt.Sprintf("Keys[%d] (ID %q)", e.Index, e.Name)
	case e.Field == fieldAPIKeys:
		place = fmt.Sprintf("API key %d (%q)", e.Index, e.Name)
	case e.Value != "":
		place += " " + e.Value
	}
	return "auth: " + place + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

// The fields with an Index.
const (
	fieldKeys    = "Keys"
	fieldAPIKeys = "APIKeys"
)
