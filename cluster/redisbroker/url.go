package redisbroker

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// endpoint is the address of one server with its credentials. Immutable. It
// holds passwords: only identity may be shown.
type endpoint struct {
	// identity is the name of the server for rendezvous hashing and operators:
	// host:port or the path of a socket, or the master's name and its Sentinels
	// in alphabetical order.
	identity  string
	addresses []string // of the server, or of its Sentinels; the path of a socket begins with /
	master    string   // the master's name; empty without Sentinels
	username  string
	password  string
	database  int
	tls       *tls.Config // nil: plain TCP

	sentinelUsername string
	sentinelPassword string
}

// Errors of parseURL. They contain no part of the URL: if the password has
// characters that are not encoded, any part may contain it.
var (
	errScheme   = errors.New("the URL must begin with redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://")
	errURL      = errors.New("the URL cannot be read; are special characters of the password percent-encoded?")
	errHost     = errors.New("the URL names no host, or an invalid port")
	errDatabase = errors.New("the URL's database is not a number")
	errMaster   = errors.New("the Sentinel URL names no master: redis+sentinel://host/master")
	errSocket   = errors.New("the URL names no socket: unix:///path/to/redis.sock")
	errQuery    = errors.New("the URL has a parameter that is not known")
)

// parseURL reads the forms that Config.Servers describes. It does not use
// net/url for the whole, which rejects lists of hosts.
func parseURL(text string) (*endpoint, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return nil, errScheme
	}
	s := &endpoint{}
	sentinel := false
	switch scheme {
	case "redis":
	case "rediss":
		s.tls = &tls.Config{}
	case "unix":
		return parseSocketURL(rest)
	case "redis+sentinel":
		sentinel = true
	case "rediss+sentinel":
		sentinel, s.tls = true, &tls.Config{}
	default:
		return nil, errScheme
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if err := s.parseUser(authority[:at]); err != nil {
			return nil, err
		}
		authority = authority[at+1:]
	}
	port := redisPort
	if sentinel {
		port = sentinelPort
	}
	if err := s.parseHosts(authority, port, sentinel); err != nil {
		return nil, err
	}
	if err := s.parsePath(path, sentinel); err != nil {
		return nil, err
	}
	if err := s.parseQuery(query, sentinel); err != nil {
		return nil, err
	}
	s.identity = s.addresses[0]
	if sentinel {
		s.identity = s.master + "@" + strings.Join(s.addresses, ",")
	}
	if s.database != 0 {
		s.identity += "/" + strconv.Itoa(s.database)
	}
	return s, nil
}

// maxSocketPath is the length of the longest path of a socket in Linux.
const maxSocketPath = 107

// parseSocketURL reads the rest of a URL after "unix://": the form of go-redis,
// and of most libraries.
func parseSocketURL(rest string) (*endpoint, error) {
	s := &endpoint{}
	rest, query, _ := strings.Cut(rest, "?")
	if authority, path, found := strings.Cut(rest, "@/"); found {
		if err := s.parseUser(authority); err != nil {
			return nil, err
		}
		rest = "/" + path
	}
	path, err := url.PathUnescape(rest)
	switch {
	case err != nil:
		return nil, errURL
	case !strings.HasPrefix(path, "/") || len(path) < 2 || len(path) > maxSocketPath || strings.ContainsFunc(path, unicode.IsControl):
		return nil, errSocket
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errURL
	}
	for name := range values {
		if name != "db" {
			return nil, errQuery
		}
	}
	s.addresses, s.identity = []string{path}, path
	if database := values.Get("db"); database != "" {
		number, err := strconv.ParseUint(database, 10, 15)
		if err != nil {
			return nil, errDatabase
		}
		if s.database = int(number); number != 0 {
			s.identity += "?db=" + strconv.Itoa(s.database)
		}
	}
	return s, nil
}

func (s *endpoint) parseUser(text string) error {
	user, password, both := strings.Cut(text, ":")
	var err error
	if s.username, err = url.PathUnescape(user); err != nil {
		return errURL
	}
	if !both {
		return nil
	}
	if s.password, err = url.PathUnescape(password); err != nil {
		return errURL
	}
	return nil
}

func (s *endpoint) parseHosts(text, defaultPort string, several bool) error {
	hosts := strings.Split(text, ",")
	if len(hosts) > 1 && !several {
		return errHost
	}
	for _, address := range hosts {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			// No port; an IPv6 address keeps its brackets in a URL.
			host, port = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"), defaultPort
			if strings.Contains(host, ":") && net.ParseIP(host) == nil {
				return errHost
			}
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 || host == "" || strings.ContainsAny(host, " @/?#[]%\t\r\n") {
			return errHost
		}
		s.addresses = append(s.addresses, net.JoinHostPort(strings.ToLower(host), port))
	}
	slices.Sort(s.addresses)
	s.addresses = slices.Compact(s.addresses)
	return nil
}

// parsePath reads "db", or "master" and "master/db".
func (s *endpoint) parsePath(path string, sentinel bool) error {
	database := path
	if sentinel {
		var master string
		master, database, _ = strings.Cut(path, "/")
		if !plainName(master) {
			return errMaster
		}
		s.master = master
	}
	if database == "" {
		return nil
	}
	number, err := strconv.ParseUint(database, 10, 15)
	if err != nil {
		return errDatabase
	}
	s.database = int(number)
	return nil
}

func (s *endpoint) parseQuery(query string, sentinel bool) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errURL
	}
	for name := range values {
		switch {
		case sentinel && name == "sentinel_username":
			s.sentinelUsername = values.Get(name)
		case sentinel && name == "sentinel_password":
			s.sentinelPassword = values.Get(name)
		default:
			return errQuery
		}
	}
	return nil
}

// useTLS replaces the TLS configuration of a server that is reached over TLS.
func (s *endpoint) useTLS(config *tls.Config) {
	if s.tls != nil && config != nil {
		s.tls = config.Clone()
	}
}

// SplitServers returns the URLs of a list, for Config.Servers. It splits at
// each comma that a URL follows: the URL of a group of Sentinels contains
// commas, too.
func SplitServers(list string) []string {
	var urls []string
	for part := range strings.SplitSeq(list, ",") {
		trimmed := strings.TrimSpace(part)
		switch {
		case len(urls) > 0 && trimmed != "" && !strings.Contains(trimmed, "://"):
			urls[len(urls)-1] += "," + trimmed
		case trimmed != "":
			urls = append(urls, trimmed)
		}
	}
	return urls
}
