package auth_test

import (
	"errors"
	"testing"

	"github.com/stoa-io/stoa/auth"
)

// Programs find the field of a mistake without its text.
func TestFieldError(t *testing.T) {
	_, err := auth.NewKeys([]auth.APIKey{{Name: "billing", Secret: "short"}})
	var wrong *auth.FieldError
	if !errors.As(err, &wrong) || wrong.Field != "APIKeys" || wrong.Index != 0 || wrong.Name != "billing" {
		t.Errorf("NewKeys = %v, want a FieldError about the key", err)
	}
	config := auth.JWTConfig{JWKS: auth.JWKS{URL: "http://user:secret@keys.test/set?token=secret"}}
	if err := config.Check(); !errors.As(err, &wrong) || wrong.Field != "JWKS.URL" || wrong.Value != "http://keys.test/set" {
		t.Errorf("Check = %v, want a FieldError about JWKS.URL without secrets", err)
	}
	config = auth.JWTConfig{Keys: []auth.VerificationKey{{ID: "main", Secret: "short"}}}
	if err := config.Check(); !errors.As(err, &wrong) || wrong.Field != "Keys" || wrong.Name != "main" {
		t.Errorf("Check = %v, want a FieldError about the key", err)
	}
}
