package auth

import (
	"net/http"
	"strings"
	"time"

	"github.com/stoa-io/stoa/node"
)

// Result is the outcome of the check of a request or a token.
type Result uint8

// The results. All but the first two are refusals; the comment is the reason
// that the client gets, with the status.
const (
	ResultValid           Result = iota
	ResultAnonymous              // no token, and none is required
	ResultTokenRequired          // 401 token required
	ResultAmbiguous              // 400 more than one token
	ResultTooLong                // 401 token too long
	ResultMalformed              // 401 malformed token
	ResultAlgorithm              // 401 algorithm not allowed
	ResultUnknownKey             // 401 unknown key
	ResultBadSignature           // 401 bad signature
	ResultExpired                // 401 token expired
	ResultNotValidYet            // 401 token not valid yet
	ResultIssuedLater            // 401 token issued in the future
	ResultNoExpiry               // 401 token without expiry
	ResultWrongIssuer            // 401 wrong issuer
	ResultWrongAudience          // 401 wrong audience
	ResultUnusableClaim          // 401 unusable claim NAME: …
	ResultKeysUnavailable        // 503 keys unavailable

	numResults
)

// The error codes of RFC 6750 section 3.1.
const (
	invalidRequest = "invalid_request"
	invalidToken   = "invalid_token"
)

// outcomes describes the results.
var outcomes = [numResults]struct {
	label  string // of a metric
	status int
	code   string
	reason string
}{
	ResultValid:           {label: "valid"},
	ResultAnonymous:       {label: "anonymous"},
	ResultTokenRequired:   {"token_required", http.StatusUnauthorized, "", "token required"},
	ResultAmbiguous:       {"ambiguous", http.StatusBadRequest, invalidRequest, "more than one token"},
	ResultTooLong:         {"too_long", http.StatusUnauthorized, invalidToken, "token too long"},
	ResultMalformed:       {"malformed", http.StatusUnauthorized, invalidToken, "malformed token"},
	ResultAlgorithm:       {"algorithm", http.StatusUnauthorized, invalidToken, "algorithm not allowed"},
	ResultUnknownKey:      {"unknown_key", http.StatusUnauthorized, invalidToken, "unknown key"},
	ResultBadSignature:    {"bad_signature", http.StatusUnauthorized, invalidToken, "bad signature"},
	ResultExpired:         {"expired", http.StatusUnauthorized, invalidToken, "token expired"},
	ResultNotValidYet:     {"not_valid_yet", http.StatusUnauthorized, invalidToken, "token not valid yet"},
	ResultIssuedLater:     {"issued_later", http.StatusUnauthorized, invalidToken, "token issued in the future"},
	ResultNoExpiry:        {"no_expiry", http.StatusUnauthorized, invalidToken, "token without expiry"},
	ResultWrongIssuer:     {"wrong_issuer", http.StatusUnauthorized, invalidToken, "wrong issuer"},
	ResultWrongAudience:   {"wrong_audience", http.StatusUnauthorized, invalidToken, "wrong audience"},
	ResultUnusableClaim:   {"unusable_claim", http.StatusUnauthorized, invalidToken, "unusable claim"},
	ResultKeysUnavailable: {"keys_unavailable", http.StatusServiceUnavailable, "", "keys unavailable"},
}

// Results returns all results. The slice is the caller's.
func Results() []Result {
	all := make([]Result, numResults)
	for i := range all {
		all[i] = Result(i)
	}
	return all
}

// String returns the result as one lower-case word, for a metric.
func (r Result) String() string {
	if r < numResults {
		return outcomes[r].label
	}
	return "unknown"
}

// retryAfter is the delay for clients that a node refuses because it has no
// keys yet.
const retryAfter = 2 * time.Second

// Error is the reason why a client is refused. It wraps the *node.Refusal that
// tells the client.
type Error struct {
	Result Result
	// Detail names an unusable claim and its fault. It is empty for the other
	// results.
	Detail string
}

// Reason is the text for the client. It contains no part of a token, except
// for the name of a claim and, quoted, of an unknown field in it.
func (e *Error) Reason() string {
	reason := outcomes[e.Result].reason
	if e.Detail != "" {
		reason += " " + e.Detail
	}
	return reason
}

// Status is the HTTP status of the refusal.
func (e *Error) Status() int { return outcomes[e.Result].status }

// Error implements error.
func (e *Error) Error() string { return "auth: " + e.Reason() }

// Unwrap returns the *node.Refusal.
func (e *Error) Unwrap() error {
	refusal := &node.Refusal{Status: e.Status(), Reason: e.Reason()}
	if refusal.Status == http.StatusServiceUnavailable {
		refusal.RetryAfter = retryAfter
	}
	return refusal
}

// challenge adds the challenge of RFC 6750 section 3 to the answer.
func (e *Error) challenge(header http.Header) {
	switch outcome := &outcomes[e.Result]; {
	case outcome.code != "":
		header.Set("WWW-Authenticate", `Bearer error="`+outcome.code+`", error_description="`+describable(e.Reason())+`"`)
	case outcome.status == http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	}
}

// maxDescription bounds an error_description, in bytes.
const maxDescription = 200

// describable replaces the characters that RFC 6750 section 3 excludes from an
// error_description.
func describable(reason string) string {
	reason = strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		}
		return r
	}, reason)
	return reason[:min(len(reason), maxDescription)]
}
