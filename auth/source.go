package auth

import (
	"errors"
	"net/http"
	"strings"
)

// Source is a part of a request that may contain a token: "header",
// "cookie:NAME", "query:NAME" or "neffos". A client that sends different tokens
// in several of them is refused.
type Source string

// The sources without a name.
const (
	// SourceHeader is the header field "Authorization: Bearer TOKEN".
	SourceHeader Source = "header"
	// SourceNeffos is the URL parameter that neffos.js and stoa-client send in
	// browsers, which cannot set header fields, in place of that field:
	// "X-Websocket-Header-Authorization=Bearer%20TOKEN".
	SourceNeffos Source = "neffos"
)

const (
	cookieSource = "cookie:"
	querySource  = "query:"
	// neffosParameter is compared without regard to case, since the application
	// chooses the case of the field's name.
	neffosParameter = "X-Websocket-Header-Authorization"
)

// CookieSource is the cookie of this name.
func CookieSource(name string) Source { return Source(cookieSource + name) }

// QuerySource is the URL parameter of this name. Proxies write URLs to their
// logs: let such a token expire within a minute.
func QuerySource(name string) Source { return Source(querySource + name) }

func (s Source) validate() error {
	for _, prefix := range []string{cookieSource, querySource} {
		if name, ok := strings.CutPrefix(string(s), prefix); ok && name != "" {
			return nil
		}
	}
	if s == SourceHeader || s == SourceNeffos {
		return nil
	}
	return errors.New("want header, cookie:NAME, query:NAME or neffos")
}

// finder collects the token of a request.
type finder struct {
	token     string
	ambiguous bool
}

func (f *finder) add(token string) {
	switch {
	case token == "" || token == f.token:
	case f.token == "":
		f.token = token
	default:
		f.ambiguous = true
	}
}

// bearerToken returns the token in a field's value; empty for other schemes,
// which belong to the application.
func bearerToken(value string) string {
	scheme, token, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// findToken returns the token in the sources of the request; empty if there is
// none.
func findToken(sources []Source, r *http.Request) (string, error) {
	var f finder
	var query map[string][]string
	for _, s := range sources {
		switch name := string(s); {
		case s == SourceHeader:
			for _, value := range r.Header["Authorization"] {
				f.add(bearerToken(value))
			}
			continue
		case strings.HasPrefix(name, cookieSource):
			for _, cookie := range r.CookiesNamed(name[len(cookieSource):]) {
				f.add(cookie.Value)
			}
			continue
		}
		if query == nil {
			query = r.URL.Query()
		}
		f.addParameters(s, query)
	}
	if f.ambiguous {
		return "", &Error{Result: ResultAmbiguous}
	}
	return f.token, nil
}

func (f *finder) addParameters(s Source, query map[string][]string) {
	if name, ok := strings.CutPrefix(string(s), querySource); ok {
		for _, value := range query[name] {
			f.add(value)
		}
		return
	}
	for name, values := range query {
		if strings.EqualFold(name, neffosParameter) {
			for _, value := range values {
				f.add(bearerToken(value))
			}
		}
	}
}
