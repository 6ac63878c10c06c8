// Command paced asks for paths at a fixed rate, whether or not the answers to earlier requests have come (an open loop),
// and tells as JSON how long after the instant at which each request was due its answer was there. With a rate of 0 each
// connection asks for the next path as soon as it has the answer to the one before, and every path is asked for once.
//
//	paced -url http://127.0.0.1:8000 -paths FILE -rate 500 -seconds 10 -connections 16 [-known FILE] [-encoding br]
//
// A line of the file of paths is a path. A line of the file of known bodies is a path, a tab and the SHA-256 of a body
// that this path may have, in hex; a body that is not among them is a foreign one. Bodies that bear the same entity tag
// and differ are counted too.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

// Times are waits from when a request was due to the end of its body; late is how late it was sent.
type report struct {
	Requests  int            `json:"requests"`
	Seconds   float64        `json:"seconds"`
	MedianMs  float64        `json:"median_ms"`
	P99Ms     float64        `json:"p99_ms"`
	P999Ms    float64        `json:"p999_ms"`
	WorstMs   float64        `json:"worst_ms"`
	LateMs    float64        `json:"late_p99_ms"`
	Bytes     int            `json:"bytes"`
	Statuses  map[string]int `json:"statuses"`
	Tags      int            `json:"tags"`
	Failed    int            `json:"failed"`
	Foreign   int            `json:"foreign"`
	Ambiguous int            `json:"ambiguous"`
	Examples  []string       `json:"examples"`
}

type client struct {
	base  string
	codes string // Accept-Encoding
	http  *http.Client
	known map[string]bool // path, tab, digest
	lock  sync.Mutex
	tags  map[string]string // path, tab, entity tag: digest
	waits []float64
	out   report
}

const shown = 5

func (c *client) ask(path string, due time.Time) {
	request, err := http.NewRequest(http.MethodGet, c.base+path, nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("Accept-Encoding", c.codes)
	response, err := c.http.Do(request)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	wait := time.Since(due)
	digest := sha256.Sum256(body)
	seen := hex.EncodeToString(digest[:])
	c.lock.Lock()
	defer c.lock.Unlock()
	c.waits = append(c.waits, wait.Seconds()*1e3)
	if err != nil {
		c.wrong(&c.out.Failed, err.Error())
		return
	}
	c.out.Bytes += len(body)
	c.out.Statuses[fmt.Sprint(response.StatusCode)]++
	if c.known != nil && !c.known[path+"\t"+seen] {
		c.wrong(&c.out.Foreign, fmt.Sprintf("%d %s: %.200s", response.StatusCode, path, body))
	}
	if tag := response.Header.Get("ETag"); tag != "" {
		before, found := c.tags[path+"\t"+tag]
		if found && before != seen {
			c.wrong(&c.out.Ambiguous, "two bodies of "+tag+": "+path)
		}
		c.tags[path+"\t"+tag] = seen
	}
}

func (c *client) wrong(counter *int, example string) {
	*counter++
	if len(c.out.Examples) < shown {
		c.out.Examples = append(c.out.Examples, example)
	}
}

// pace starts each request when it is due, in a goroutine of its own, for so many seconds and until ended is closed.
func (c *client) pace(paths []string, rate, seconds float64, ended <-chan struct{}) {
	var asking sync.WaitGroup
	var late []float64
	began := time.Now()
	for number := 0; ; number++ {
		due := began.Add(time.Duration(float64(number) / rate * 1e9))
		if due.Sub(began).Seconds() >= seconds && closed(ended) {
			break
		}
		time.Sleep(time.Until(due))
		late = append(late, time.Since(due).Seconds()*1e3)
		asking.Add(1)
		go func(path string) {
			defer asking.Done()
			c.ask(path, due)
		}(paths[number%len(paths)])
	}
	asking.Wait()
	c.out.LateMs = quantile(late, 0.99)
}

func closed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

// inputEnds gives a channel that is closed when standard input has ended.
func inputEnds() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	return ended
}

// sweep asks for every path once.
func (c *client) sweep(paths []string, connections int) {
	var asking sync.WaitGroup
	next := make(chan string)
	for number := 0; number < connections; number++ {
		asking.Add(1)
		go func() {
			defer asking.Done()
			for path := range next {
				c.ask(path, time.Now())
			}
		}()
	}
	for _, path := range paths {
		next <- path
	}
	close(next)
	asking.Wait()
}

func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sort.Float64s(values)
	return values[int(share*float64(len(values)-1)+0.5)]
}

func lines(name string) []string {
	file, err := os.Open(name)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer file.Close()
	var all []string
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		all = append(all, strings.TrimSpace(scanner.Text()))
	}
	return all
}

func main() {
	url := flag.String("url", "", "scheme, host and port")
	paths := flag.String("paths", "", "file of paths")
	known := flag.String("known", "", "file of the bodies that are right")
	rate := flag.Float64("rate", 0, "requests a second; 0: every path once, as fast as the answers come")
	seconds := flag.Float64("seconds", 10, "how long at least, at a fixed rate; it goes on until standard input ends")
	encoding := flag.String("encoding", "identity", "what Accept-Encoding asks for")
	connections := flag.Int("connections", 16, "the most that are open at a time")
	flag.Parse()
	c := &client{base: *url, codes: *encoding, tags: map[string]string{}, out: report{Statuses: map[string]int{}}}
	c.http = &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			MaxConnsPerHost: *connections, MaxIdleConnsPerHost: *connections, DisableCompression: true,
		},
	}
	if *known != "" {
		c.known = map[string]bool{}
		for _, line := range lines(*known) {
			c.known[line] = true
		}
	}
	began := time.Now()
	if all := lines(*paths); *rate > 0 {
		c.pace(all, *rate, *seconds, inputEnds())
	} else {
		c.sweep(all, *connections)
	}
	c.out.Seconds = time.Since(began).Seconds()
	c.out.Requests = len(c.waits)
	c.out.Tags = len(c.tags)
	c.out.MedianMs, c.out.P99Ms = quantile(c.waits, 0.5), quantile(c.waits, 0.99)
	c.out.P999Ms, c.out.WorstMs = quantile(c.waits, 0.999), quantile(c.waits, 1)
	if err := json.NewEncoder(os.Stdout).Encode(c.out); err != nil {
		os.Exit(1)
	}
}
