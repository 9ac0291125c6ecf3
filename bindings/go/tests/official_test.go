package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	official "github.com/mixpanel/mixpanel-go/v2/flags"
	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

// pair is the two SDKs with the same definitions.
type pair struct {
	ours   *mpflags.Client
	theirs *official.LocalFeatureFlagsProvider
}

// toServer redirects mixpanel-go, which only knows https, to an http server.
type toServer struct{ to *url.URL }

func (r toServer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host = r.to.Scheme, r.to.Host
	return http.DefaultTransport.RoundTrip(request)
}

func load(server *dev.Server, document string) (*official.LocalFeatureFlagsProvider, error) {
	server.Serve(document)
	to, err := url.Parse(server.URL)
	if err != nil {
		return nil, err
	}
	config := official.DefaultLocalFlagsConfig()
	config.EnablePolling = false
	config.HTTPClient = &http.Client{Transport: toServer{to}}
	theirs := official.NewLocalFeatureFlagsProvider("demo", "0", config, func(string, string, map[string]any) {})
	return theirs, theirs.StartPollingForDefinitions(background)
}

func newPair(t testing.TB, server *dev.Server, document string) pair {
	t.Helper()
	theirs, err := load(server, document)
	if err != nil {
		t.Fatalf("mixpanel-go: %v", err)
	}
	return pair{alone(t, document), theirs}
}

func alone(t testing.TB, document string) *mpflags.Client {
	t.Helper()
	ours, err := mpflags.New("demo", mpflags.WithEnablePolling(false), mpflags.WithReportExposures(false), mpflags.WithDefinitions(document), mpflags.WithLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	return ours
}

const none = "-"

func ourVariant(c *mpflags.Client, flag string, user map[string]any) string {
	v := c.Evaluate(background, flag, user)
	var failure *mpflags.EvaluationError
	switch {
	case errors.As(v.Err(), &failure):
		return string(failure.Code)
	case v.HasValue():
		return v.Variant()
	}
	return none
}

func theirVariant(p *official.LocalFeatureFlagsProvider, flag string, user map[string]any) (variant string) {
	defer func() {
		if r := recover(); r != nil {
			variant = "panic"
		}
	}()
	selected, err := p.GetVariant(context.Background(), flag, official.SelectedVariant{}, user, false)
	switch {
	case err != nil:
		return "error"
	case selected.VariantKey != nil:
		return *selected.VariantKey
	case selected.FallbackReason == official.FallbackReasonMissingContextKey:
		return string(mpflags.TargetingKeyMissing)
	case selected.FallbackReason == official.FallbackReasonFlagNotFound:
		return string(mpflags.FlagNotFound)
	}
	return none
}

// TestOfficial compares the evaluations of 200 random flags for 1,000 random users with those of mixpanel-go 2.1.0. The
// known differences, in TestOfficialDifferences, do not occur here.
func TestOfficial(t *testing.T) {
	const flags, users = 200, 1000
	random := rand.New(rand.NewPCG(7, 11))
	server := dev.Start(t)
	document := map[string]any{}
	list := make([]any, flags)
	for i := range list {
		list[i] = randomFlag(random, i)
	}
	document["flags"] = list
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	both := newPair(t, server, string(text))
	compared, assigned := 0, map[string]int{}
	for i := range users {
		user := randomUser(random, i)
		for flag := range flags {
			key := fmt.Sprintf("flag-%d", flag)
			ours, theirs := ourVariant(both.ours, key, user), theirVariant(both.theirs, key, user)
			if ours != theirs {
				definition, _ := json.Marshal(list[flag])
				t.Fatalf("%s for %v: ours %s, theirs %s\n%s", key, user, ours, theirs, definition)
			}
			compared++
			assigned[ours]++
		}
	}
	if len(assigned) < 5 || assigned[none] == 0 || assigned[string(mpflags.TargetingKeyMissing)] == 0 {
		t.Errorf("the random flags cover too little: %v", assigned)
	}
	t.Logf("%d evaluations, identical: %v", compared, assigned)
}

func randomFlag(random *rand.Rand, i int) map[string]any {
	names := []string{"Émile", "alpha", "Beta", "control", "😀", "a", "Zed"}[:1+random.IntN(7)]
	variants := make([]any, len(names))
	for j, name := range names {
		variants[j] = map[string]any{"key": name, "value": j, "split": float64(random.IntN(101)) / 100 / float64(1+random.IntN(3)), "is_control": j == 0}
	}
	random.Shuffle(len(variants), func(a, b int) { variants[a], variants[b] = variants[b], variants[a] })
	var rollouts []any
	for range random.IntN(4) {
		rollout := map[string]any{"rollout_percentage": float64(random.IntN(105)) / 100}
		if random.IntN(2) == 0 {
			rollout["runtime_evaluation_rule"] = randomRule(random, 2)
		}
		if random.IntN(4) == 0 {
			rollout["variant_override"] = map[string]any{"key": strings.ToUpper(names[random.IntN(len(names))])}
		}
		if random.IntN(4) == 0 {
			rollout["variant_splits"] = map[string]any{names[0]: random.Float64(), "nobody": 0.5}
		}
		rollouts = append(rollouts, rollout)
	}
	flag := map[string]any{"key": fmt.Sprintf("flag-%d", i), "id": "1", "name": "n", "project_id": 1, "status": "enabled",
		"context": []string{"distinct_id", "distinct_id", "device_id", "company_id"}[random.IntN(4)],
		"ruleset": map[string]any{"variants": variants, "rollout": rollouts}}
	if rollouts == nil {
		flag["ruleset"].(map[string]any)["rollout"] = []any{}
	}
	if random.IntN(3) > 0 {
		flag["hash_salt"] = fmt.Sprintf("%032x", random.Uint64())
	}
	if random.IntN(3) == 0 {
		flag["ruleset"].(map[string]any)["test"] = map[string]any{"users": map[string]any{
			fmt.Sprint("user-", random.IntN(1000)): strings.ToLower(names[0]), fmt.Sprint("user-", random.IntN(1000)): "nobody"}}
	}
	return flag
}

// randomRule makes rules whose operands have matching types. With others, the engines are known to disagree.
func randomRule(random *rand.Rand, depth int) map[string]any {
	property := func(name string) map[string]any { return map[string]any{"var": name} }
	if depth > 0 && random.IntN(2) == 0 {
		switch random.IntN(3) {
		case 0:
			return map[string]any{"and": []any{randomRule(random, depth-1), randomRule(random, depth-1)}}
		case 1:
			return map[string]any{"or": []any{randomRule(random, depth-1), randomRule(random, depth-1)}}
		}
		return map[string]any{"!": []any{randomRule(random, depth-1)}}
	}
	plans := []string{"Pro", "free", "ÄRMEL", "team"}
	switch random.IntN(7) {
	case 0:
		return map[string]any{[]string{"==", "===", "!=", "!=="}[random.IntN(4)]: []any{property("Plan"), plans[random.IntN(4)]}}
	case 1:
		return map[string]any{[]string{"<", "<=", ">", ">=", "==", "!="}[random.IntN(6)]: []any{property("age"), random.IntN(100)}}
	case 2:
		return map[string]any{"in": []any{property("country"), []any{"DE", "fr", "AT"}}}
	case 3:
		return map[string]any{"in": []any{"example", property("email")}}
	case 4:
		return map[string]any{"==": []any{property("beta"), random.IntN(2) == 0}}
	case 5:
		return map[string]any{"<": []any{random.IntN(50), property("age"), 50 + random.IntN(50)}}
	}
	return map[string]any{">": []any{property("score"), random.Float64()}}
}

func randomUser(random *rand.Rand, i int) map[string]any {
	user := map[string]any{"distinct_id": fmt.Sprint("user-", i), "custom_properties": map[string]any{
		"PLAN": []string{"PRO", "Free", "ärmel", "none"}[random.IntN(4)], "age": random.IntN(100), "country": []string{"de", "FR", "US"}[random.IntN(3)],
		"email": []string{"a@EXAMPLE.com", "b@other.net"}[random.IntN(2)], "beta": random.IntN(2) == 0, "score": random.Float64(),
	}}
	switch random.IntN(5) {
	case 0:
		user["device_id"] = int64(random.Uint64() >> 1)
	case 1:
		user["device_id"] = random.IntN(2) == 0
	case 2:
		user["device_id"] = fmt.Sprint("Gerät-", i, "-😀")
	case 3:
		user["device_id"] = float64(random.IntN(1000)) + 0.25
	}
	if random.IntN(3) > 0 {
		user["company_id"] = uint32(random.IntN(1_000_000))
	}
	if random.IntN(10) == 0 {
		delete(user, "custom_properties")
	}
	return user
}

// TestOfficialDifferences has a row for each known difference to mixpanel-go 2.1.0. It fails if a release of mixpanel-go
// removes one.
func TestOfficialDifferences(t *testing.T) {
	server := dev.Start(t)
	rollout := func(members string) string {
		return `{"flags": [{"key": "f", "context": "id", "ruleset": {"variants": [{"key": "on", "value": true, "split": 1}],
			"rollout": [` + members + `]}}]}`
	}
	rule := func(rule string) string {
		return rollout(`{"rollout_percentage": 1, "runtime_evaluation_rule": ` + rule + `}`)
	}
	everybody := rollout(`{"rollout_percentage": 1}`)
	half := rollout(`{"rollout_percentage": 0.5}`)
	with := func(properties map[string]any) map[string]any {
		return map[string]any{"id": "u", "custom_properties": properties}
	}
	id := func(value any) map[string]any { return map[string]any{"id": value} }
	for _, row := range []struct {
		what, document string
		user           map[string]any
		ours, theirs   string
		why            string
	}{
		{"an error in a rule", rollout(`{"rollout_percentage": 1, "runtime_evaluation_rule": {"unknown": [1]}}, {"rollout_percentage": 1}`),
			with(map[string]any{"a": 1}), "on", "error", "a bad rule does not affect other rollouts"},
		{"a result that is not a boolean", rule(`{"var": "plan"}`), with(map[string]any{"plan": "pro"}), "on", "error", "JSON Logic has truthiness"},
		{"a number as a result", rule(`{"+": [1, 1]}`), with(map[string]any{"a": 1}), "on", "error", "likewise"},
		{"a legacy definition", rollout(`{"rollout_percentage": 1, "runtime_evaluation_definition": {"plan": "pro"}}`),
			with(map[string]any{"plan": "free"}), none, "on", "Python and Node evaluate it; if ignored, everybody matches"},
		{"the rule {}", rule(`{}`), with(map[string]any{"a": 1}), "on", "error", "in Python and Node it is the same as no rule"},
		{"status disabled", strings.Replace(everybody, `"context"`, `"status": "disabled", "context"`, 1), id("u"), none, "on", "a disabled flag is off"},
		{"status archived", strings.Replace(everybody, `"context"`, `"status": "archived", "context"`, 1), id("u"), none, "on", "likewise"},
		{"subject null", everybody, id(nil), "TARGETING_KEY_MISSING", "on", "all users without an id would be the user <nil>"},
		{"an empty subject", everybody, id(""), "TARGETING_KEY_MISSING", "on", "likewise"},
		{"an array as subject", everybody, id([]any{1}), "TARGETING_KEY_MISSING", "on", "every language formats it differently"},
		{"an object as subject", everybody, id(map[string]any{"a": 1}), "TARGETING_KEY_MISSING", "on", "likewise"},
		{"NaN as subject", everybody, id(math.NaN()), "INVALID_CONTEXT", "on", "JSON has no NaN"},
		{"a subject that is not UTF-8", everybody, id("\xff"), "INVALID_CONTEXT", "on", "neither JSON nor an exposure can contain it"},
		{"a large whole float as subject", half, id(1234567.0), "on", none, "1234567 here and in Node, 1.234567e+06 there"},
		{"a small float as subject", half, id(2e-7), "on", none, "2e-7 here and in Node, 2e-07 there"},
		{"minus zero as subject", half, id(math.Copysign(0, -1)), "on", none, "0 here and in Node, -0 there"},
		{"a tester with an integer id", strings.Replace(strings.Replace(rollout(`{"rollout_percentage": 0}`), `"rollout": [`, `"test": {"users": {"5": "on"}}, "rollout": [`, 1), `"id"`, `"distinct_id"`, 1),
			map[string]any{"distinct_id": 5}, "on", none, "Node matches it too"},
		{"final sigma in a variant's key", strings.Replace(rollout(`{"rollout_percentage": 1, "variant_override": {"key": "σ"}}`), `{"key": "on", "value": true, "split": 1}`, `{"key": "ς", "value": 1, "split": 0}, {"key": "a", "value": 2, "split": 1}`, 1),
			id("u"), "a", "ς", "to_lowercase keeps the two apart, EqualFold does not"},
		{"final sigma in a property", rule(`{"==": [{"var": "city"}, "οδοσ"]}`), with(map[string]any{"city": "ΟΔΟΣ"}), none, "on", "JavaScript's lower case ends a word with ς"},
		{"İ in a property", rule(`{"==": [{"var": "city"}, "izmir"]}`), with(map[string]any{"city": "İZMİR"}), none, "on", "JavaScript's lower case is i and a dot"},
		{"a number in a list of strings", rule(`{"in": [{"var": "n"}, ["1", "2"]]}`), with(map[string]any{"n": 1.0}), none, "on", "json-logic-js compares strictly"},
		{"a string with spaces and a number", rule(`{"==": [{"var": "n"}, 5]}`), with(map[string]any{"n": " 5 "}), "on", none, "JavaScript trims"},
		{"<= of a missing property", rule(`{"<=": [{"var": "n"}, 0]}`), with(map[string]any{"a": 1}), "on", none, "null is 0 in JavaScript"},
		{"some of a value that is not a list", rule(`{"some": [{"var": "l"}, {"==": [{"var": ""}, "a"]}]}`), with(map[string]any{"l": "a"}), none, "error", "false in json-logic-js"},
		{"semver_compare", rule(`{"semver_compare": [{"var": "v"}, ">", "1.2.0"]}`), with(map[string]any{"v": "1.10.0"}), "on", "error", "2.1.0 does not have it"},
		{"datetime_compare", rule(`{"datetime_compare": [{"var": "at"}, "<", 1700000000000]}`), with(map[string]any{"at": "2020-01-01T00:00:00Z"}), "on", "error", "likewise"},
		{"properties of another map type", rule(`{"==": [{"var": "plan"}, "pro"]}`), map[string]any{"id": "u", "custom_properties": map[string]string{"plan": "pro"}}, "on", none, "a map is a map"},
		{"a list of another slice type", rule(`{"some": [{"var": "l"}, {"==": [{"var": ""}, "A"]}]}`), with(map[string]any{"l": []string{"A"}}), "on", "error", "a list is a list"},
		{"an empty list of variants", strings.Replace(everybody, `{"key": "on", "value": true, "split": 1}`, ``, 1), id("u"), "PARSE_ERROR", none, "such a flag is malformed"},
		{"rollout_percentage null", rollout(`{"rollout_percentage": null}`), id("u"), "PARSE_ERROR", none, "likewise"},
	} {
		t.Run(row.what, func(t *testing.T) {
			both := newPair(t, server, row.document)
			ours, theirs := ourVariant(both.ours, "f", row.user), theirVariant(both.theirs, "f", row.user)
			if ours != row.ours || theirs != row.theirs {
				t.Errorf("ours %s, want %s; theirs %s, want %s (%s)", ours, row.ours, theirs, row.theirs, row.why)
			}
		})
	}
	// The subject's text is Node's: for that text, mixpanel-go gives the same result.
	for value, text := range map[float64]string{1234567: "1234567", 2e-7: "2e-7", 1e21: "1e+21", 1e16: "10000000000000000", math.Copysign(0, -1): "0"} {
		t.Run("the text of "+text, func(t *testing.T) {
			for salt := range 50 {
				both := newPair(t, server, strings.Replace(half, `"context"`, fmt.Sprintf(`"hash_salt": "%d", "context"`, salt), 1))
				if ours, theirs := ourVariant(both.ours, "f", id(value)), theirVariant(both.theirs, "f", id(text)); ours != theirs {
					t.Errorf("ours for %v %s, theirs for %q %s", value, ours, text, theirs)
				}
			}
		})
	}
	// A field of the wrong type breaks all flags in mixpanel-go, and only its own flag here, if the field is read at all.
	good := `{"key": "good", "context": "id", "ruleset": {"variants": [{"key": "on"}], "rollout": [{"rollout_percentage": 1}]}}`
	for what, row := range map[string]struct{ bad, ours string }{
		"hash_salt is a number":             {strings.Replace(strings.Replace(good, "good", "bad", 1), `"context"`, `"hash_salt": 5, "context"`, 1), "PARSE_ERROR"},
		"project_id, unread, is a string":   {strings.Replace(strings.Replace(good, "good", "bad", 1), `"context"`, `"project_id": "5", "context"`, 1), "on"},
		"a split is a string":               {strings.Replace(strings.Replace(good, "good", "bad", 1), `"key": "on"`, `"key": "on", "split": "1"`, 1), "PARSE_ERROR"},
		"a rule is an array":                {strings.Replace(strings.Replace(good, "good", "bad", 1), `"rollout_percentage": 1`, `"rollout_percentage": 1, "runtime_evaluation_rule": []`, 1), "on"},
		"a rollout_percentage is a string ": {strings.Replace(strings.Replace(good, "good", "bad", 1), `"rollout_percentage": 1`, `"rollout_percentage": "1"`, 1), "PARSE_ERROR"},
	} {
		t.Run(what, func(t *testing.T) {
			document := `{"flags": [` + good + `, ` + row.bad + `]}`
			if _, err := load(server, document); err == nil {
				t.Error("mixpanel-go now accepts the document")
			}
			ours := alone(t, document)
			if got, bad := ourVariant(ours, "good", id("u")), ourVariant(ours, "bad", id("u")); got != "on" || bad != row.ours {
				t.Errorf("ours: good is %s, bad is %s, want %s", got, bad, row.ours)
			}
		})
	}
	// If keys differ only in case, the last one in order of code points counts here, and a random one in mixpanel-go.
	t.Run("keys that differ in case", func(t *testing.T) {
		both := newPair(t, server, rule(`{"==": [{"var": "plan"}, "c"]}`))
		theirs := map[string]int{}
		for range 200 {
			user := with(map[string]any{"PLAN": "a", "Plan": "b", "plan": "c"})
			if got := ourVariant(both.ours, "f", user); got != "on" {
				t.Fatalf("ours %s", got)
			}
			theirs[theirVariant(both.theirs, "f", user)]++
		}
		if len(theirs) != 2 {
			t.Errorf("mixpanel-go is now deterministic: %v", theirs)
		}
	})
}
