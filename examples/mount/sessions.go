package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	cookieName = "session"
	lifetime   = 12 * time.Hour
)

var errNoSession = errors.New("mount: no valid session")

// sessions signs cookies and checks them. The key lives as long as the program:
// several nodes, or one that restarts, would read it from their configuration.
type sessions struct{ key []byte }

func newSessions() *sessions {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails (crypto/rand)
	return &sessions{key}
}

func (s *sessions) sign(text string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// login believes every name. A real one asks for a password here.
func (s *sessions) login(w http.ResponseWriter, r *http.Request) {
	name := r.PostFormValue("user")
	if name == "" || len(name) > 64 || !utf8.ValidString(name) {
		http.Error(w, "user: want 1 to 64 bytes of text", http.StatusBadRequest)
		return
	}
	expires := time.Now().Add(lifetime)
	claim := base64.RawURLEncoding.EncodeToString([]byte(name)) + "." + strconv.FormatInt(expires.Unix(), 10)
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: claim + "." + s.sign(claim), Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
	w.WriteHeader(http.StatusNoContent)
}

// user returns the name in the request's cookie, if it was signed here and has
// not expired.
func (s *sessions) user(r *http.Request) (string, error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return "", err
	}
	end := strings.LastIndexByte(cookie.Value, '.')
	if end < 0 || !hmac.Equal([]byte(cookie.Value[end+1:]), []byte(s.sign(cookie.Value[:end]))) {
		return "", errNoSession
	}
	encoded, expires, _ := strings.Cut(cookie.Value[:end], ".")
	if at, err := strconv.ParseInt(expires, 10, 64); err != nil || time.Now().Unix() > at {
		return "", errNoSession
	}
	name, err := base64.RawURLEncoding.DecodeString(encoded)
	return string(name), err
}
