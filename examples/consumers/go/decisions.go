package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

const (
	remembered = 100_000 // more than any broker delivers twice
	maxTrees   = 100_000
)

// decisions folds verified events of decisions.v1, each partition in its order, into one line a decision.
//
// A signature proves who wrote an event, not that it took effect: two decision points may write a tree's next version at
// the same time. The first in the partition's order counts; every other is VOID for all readers (DESIGN §5).
type decisions struct {
	seen  *bounded[[32]byte]
	trees *bounded[treeState]
}

type treeState struct {
	version int64
	head    string
}

type verdict int

const (
	counts verdict = iota
	void
	repeated
)

func newDecisions() *decisions {
	return &decisions{newBounded[[32]byte](remembered), newBounded[treeState](maxTrees)}
}

// line gives the line to print; an empty one for what is no decision, and for what stood there before.
func (d *decisions) line(event object, data []byte) (string, error) {
	judged := d.judge(event, sha256.Sum256(data))
	if judged == repeated {
		return "", nil
	}
	said, _ := event["data"].(object)
	name, _ := textAt(event, "type")
	word, reason := "", "-"
	switch name {
	case "decision.allowed":
		word, reason = "ALLOW", "allowed"
	case "decision.denied":
		word = "DENY"
		var ok bool
		if reason, ok = textAt(said, "reason"); !ok {
			return "", refused("event_malformed")
		}
	case "decision.abandoned":
		// The ALLOW was not answered: it came too late, and the caller got a DENY.
		word = "ABANDONED"
	default:
		return "", nil
	}
	if judged == void {
		word = "VOID"
	}
	when, _ := textAt(event, "time")
	tree, _ := textAt(event, "partitionkey") // its root grant; without one, whom it is about
	id, ok := textAt(said, "decision_id")
	agent, action, resource, formed := who(said)
	if !ok || !formed {
		return "", refused("event_malformed")
	}
	fields := []string{when, word, reason, agent, action, resource, tree, id}
	for n, field := range fields {
		fields[n] = printable(field)
	}
	return strings.Join(fields, "\t"), nil
}

// who gives agent, action and resource: "-" where the decision names none, false where it names one of no form.
func who(said object) (agent, action, resource string, ok bool) {
	agent, action, resource, ok = "-", "-", "-", true
	if actor, named := said["actor"]; named {
		members, isObject := actor.(object)
		if _, has := members["agent"]; has {
			agent, ok = textAt(members, "agent")
		}
		ok = ok && isObject
	}
	if what, named := said["action"]; named && ok {
		kind, hasKind := textAt(what, "resource", "type")
		id, hasID := textAt(what, "resource", "id")
		action, ok = textAt(what, "name")
		resource = kind + ":" + id
		ok = ok && hasKind && hasID
	}
	return
}

// judge: the base of a tree is its first event that is met.
func (d *decisions) judge(event object, digest [32]byte) verdict {
	tree, _ := textAt(event, "partitionkey")
	id, _ := textAt(event, "id")
	place := strconv.Itoa(len(tree)) + ":" + tree + id
	if seen, ok := d.seen.get(place); ok {
		if seen == digest {
			return repeated
		}
		return void
	}
	d.seen.put(place, digest)
	name, _ := textAt(event, "type")
	if name == "decision.denied" || name == "denials.summarised" {
		return counts
	}
	number, _ := event["version"].(json.Number)
	version, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil {
		return void
	}
	after, evaluatedAfter := textAt(event, "data", "after")
	known, met := d.trees.get(tree)
	if met && (version != known.version+1 || evaluatedAfter && after != known.head) {
		return void
	}
	if !met && version == 1 && evaluatedAfter {
		return void
	}
	d.trees.put(tree, treeState{version, id})
	return counts
}

// printable: names come from agents and other people. None may act on a terminal, or look like another column.
func printable(text string) string {
	var out strings.Builder
	for _, char := range text {
		if char >= ' ' && char <= '~' && char != '\\' {
			out.WriteRune(char)
		} else {
			fmt.Fprintf(&out, `\u{%x}`, char)
		}
	}
	return out.String()
}

// bounded is a map that forgets what was put first, so that memory does not grow with the topic.
type bounded[V any] struct {
	limit  int
	values map[string]V
	order  []string
}

func newBounded[V any](limit int) *bounded[V] {
	return &bounded[V]{limit: limit, values: map[string]V{}}
}

func (b *bounded[V]) get(name string) (V, bool) {
	value, ok := b.values[name]
	return value, ok
}

func (b *bounded[V]) put(name string, value V) {
	if _, known := b.values[name]; !known {
		b.order = append(b.order, name)
	}
	b.values[name] = value
	if len(b.order) > b.limit {
		delete(b.values, b.order[0])
		b.order = b.order[1:]
	}
}
