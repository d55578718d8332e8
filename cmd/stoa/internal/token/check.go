package token

import (
	"context"
	"errors"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// check returns the lines about the validity of a token, and the error of the
// command.
type check func(ctx context.Context, text string) (lines string, err error)

func unchecked(context.Context, string) (string, error) {
	return "Signature: not checked (no --config, --secret-file or --key-file)\n", nil
}

// ofKey checks the signature with a key, and the times. The key says nothing
// about the other rules of a node.
func ofKey(key auth.VerificationKey) check {
	return func(ctx context.Context, text string) (string, error) {
		refused, err := verify(ctx, text, auth.JWTConfig{Keys: []auth.VerificationKey{key}, TokenSize: maxInput, AllowNoExpiry: true})
		switch {
		case err != nil:
			return "Signature: not checked\n", err
		case refused == nil:
			return "Signature: right\nNot checked: issuer, audience and the other rules of a node (see --config)\n", nil
		case isUnsigned(refused):
			return "Signature: wrong: " + refused.Reason() + "\n", cli.Failure(errors.New("the signature is wrong"))
		}
		// The claims are checked after the signature.
		return "Signature: right\nA node with this key and no other rules refuses the token: " + cli.Sanitize(refused.Reason()) + "\n", nil
	}
}

// ofNode checks the token as a node with this configuration would.
func ofNode(config auth.JWTConfig) check {
	return func(ctx context.Context, text string) (string, error) {
		refused, err := verify(ctx, text, config)
		switch {
		case err != nil:
			return "Node: not checked\n", err
		case refused == nil:
			return "Node: accepts the token\n", nil
		}
		return "Node: refuses the token: " + cli.Sanitize(refused.Reason()) + "\n", cli.Failure(errors.New("the node refuses the token"))
	}
}

// verify returns why a token is refused, nil if it is valid. err is the reason
// why it cannot be checked.
func verify(ctx context.Context, text string, config auth.JWTConfig) (refused *auth.Error, err error) {
	verifier, err := auth.NewJWT(config)
	if err != nil {
		return nil, err
	}
	defer verifier.Close()
	if _, err = verifier.Verify(ctx, text); errors.As(err, &refused) {
		return refused, nil
	}
	return nil, err
}

// isUnsigned reports whether the signature is wrong.
func isUnsigned(refused *auth.Error) bool {
	switch refused.Result {
	case auth.ResultMalformed, auth.ResultTooLong, auth.ResultAlgorithm, auth.ResultUnknownKey, auth.ResultBadSignature:
		return true
	}
	return false
}
