package control

// Result is the outcome of a reload.
type Result struct {
	// Changed are the keys with other values that are in force now.
	Changed []string `json:"changed,omitempty"`
	// Restart are the keys whose new values need a restart.
	Restart []Pending `json:"restart,omitempty"`
	// Mistakes are those of the configuration, one line each. Then nothing has
	// changed.
	Mistakes []string `json:"mistakes,omitempty"`
	// Failure is another reason why nothing has changed.
	Failure string `json:"failure,omitempty"`
}

// Pending is a key whose new value needs a restart. Secrets are masked.
type Pending struct {
	Key     string `json:"key"`
	Running string `json:"running"`
	Wanted  string `json:"wanted"`
	Origin  string `json:"origin"` // of the new value
}

// Failed reports whether nothing has changed.
func (r *Result) Failed() bool { return len(r.Mistakes) > 0 || r.Failure != "" }
