package config

import (
	"cmp"
	"errors"
	"maps"
	"reflect"

	"slices"
	"strconv"
	"strings"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/internal/similar"
)

// checkAuth refuses a section whose author wants authentication that the node
// would not have, and has package auth check the rest as the node will read it.
func (c *Config) checkAuth() Errors {
	all := c.checkKeyless()
	all = append(all, c.checkPermissions("auth.jwt.default_permissions", c.Auth.JWT.DefaultPermissions, c.Origin("auth.jwt.default_permissions"))...)
	services := c.checkServices()
	if all = append(all, services...); len(services) == 0 && len(c.Auth.APIKeys) > 0 {
		if _, err := auth.NewKeys(c.APIKeys()); err != nil {
			all = append(all, c.authErrors("auth.api_keys", err)...)
		}
	}
	if c.Auth.HasJWT() {
		config := c.JWT(nil)
		// The address of a JWKS is checked, but not fetched.
		all = append(all, c.authErrors("auth.jwt", config.Check())...)
	}
	return all
}

// checkKeyless refuses keys that have no effect without a key for tokens, or
// any key: the node would be open, against its operator's will.
func (c *Config) checkKeyless() Errors {
	var all Errors
	const anyKey, tokenKey = "add auth.jwt.keys, auth.jwt.jwks.url or auth.api_keys", "add auth.jwt.keys or auth.jwt.jwks.url"
	root.child("auth").visit(func(k *key) {
		switch {
		case !c.given(k.path) || k.leaf() && c.isStandard(k):
		case !c.Auth.IsSet():
			all = append(all, c.mistake(k.path, "", "there is no authentication without a key: %s", anyKey))
		case !c.Auth.HasJWT() && strings.HasPrefix(k.path, "auth.jwt"):
			all = append(all, c.mistake(k.path, "", "no token is accepted without a key: %s", tokenKey))
		case k.path != "auth.jwt.jwks.url" && strings.HasPrefix(k.path, "auth.jwt.jwks") && c.Auth.JWT.JWKS.URL == "":
			all = append(all, c.mistake(k.path, "", "there is no JWKS: add auth.jwt.jwks.url"))
		}
	})
	return all
}

// isStandard reports whether a key that is in no map has its default.
func (c *Config) isStandard(k *key) bool {
	value, _ := c.value(k.koanfPath())
	standard, err := k.parseText(k.standard)
	return err == nil && reflect.DeepEqual(value, standard) || k.standard == "" && k.format(value) == ""
}

// checkServices checks the API keys, but for the keys themselves.
func (c *Config) checkServices() Errors {
	var all Errors
	for _, name := range slices.Sorted(maps.Keys(c.Auth.APIKeys)) {
		service := c.Auth.APIKeys[name]
		path := join(join(join("auth", "api_keys"), name), "")
		origin := func(key string) Origin {
			return cmp.Or(c.origin(path+key), c.origin(strings.TrimSuffix(path, delimiter)))
		}
		all = append(all, c.checkPermissions(display(path+"permissions"), service.Permissions, origin("permissions"))...)
		if len(service.Keys)+len(service.SHA256) == 0 {
			all = append(all, &Error{Origin: origin("keys"), Key: display(path + "keys"), Text: "the service has no key"})
		}
	}
	return all
}

// checkPermissions refuses permissions that cannot be read, or that are about a
// namespace which the node does not have.
func (c *Config) checkPermissions(key string, lines []string, origin Origin) Errors {
	var all Errors
	for _, line := range lines {
		p, err := access.ParsePermission(line)
		text := ""
		switch _, declared := c.Namespaces[p.Namespace]; {
		case err != nil:
			text = err.Error()
		case p.Namespace != "*" && !declared:
			text = "there is no namespace " + strconv.Quote(p.Namespace)
			if found := similar.Words(p.Namespace, slices.Sorted(maps.Keys(c.Namespaces))); len(found) > 0 {
				text += "; did you mean " + strings.Join(found, " or ") + "?"
			}
		}
		if text != "" {
			all = append(all, &Error{Origin: origin, Key: key, Value: strconv.Quote(line), Text: text})
		}
	}
	return all
}

// libraryKeys are the keys below auth.jwt for the fields of the library.
var libraryKeys = map[string]string{
	"JWKS": "jwks", "JWKS.URL": "jwks.url", "JWKS.Refresh": "jwks.refresh", "Sources": "sources", "ClockSkew": "clock_skew",
	"TokenSize": "token_size", "Issuers": "issuers", "Audiences": "audiences", "Claims": "claims", "DefaultPermissions": "default_permissions",
}

// keyWords are the words of the library for keys of the configuration.
var keyWords = strings.NewReplacer("File, Secret and SecretFile", "file, secret and secret_file", "use File", "use file",
	"AllowHTTP", "allow_http", "the Cooldown", "the cooldown", "leave out ID and Algorithm", "leave out algorithm, and any name will do")

// authErrors tells errors of package auth in the words of the configuration.
func (c *Config) authErrors(section string, err error) Errors {
	var all Errors
	for _, err := range separate(err) {
		path, value := strings.ReplaceAll(section, ".", delimiter), ""
		var wrong *auth.FieldError
		if errors.As(err, &wrong) {
			value, err = wrong.Value, wrong.Err
			switch wrong.Field {
			case "APIKeys":
				path = join(path, wrong.Name)
			case "Keys":
				path = join(join(path, "keys"), wrong.Name)
			default:
				path = join(path, strings.ReplaceAll(libraryKeys[wrong.Field], ".", delimiter))
			}
		}
		text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "auth: "), "\n", "; ")
		all = append(all, &Error{
			Origin: cmp.Or(c.origin(path), c.Origin(section)), Key: display(path), Value: value, Text: keyWords.Replace(text),
		})
	}
	return all
}
