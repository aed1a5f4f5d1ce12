// Asks a running penstock for triggers as KEDA does, with the client that KEDA itself is built with, and
// prints what each method answered:
//
//	keda HOST:PORT TRIGGERS.json [DURATION]
//
// The file is a list of objects with namespace, name and metadata. The last line that is printed is a list of
// the answers, in the same order. With a duration it is what came on StreamMetricSpec of the first of them in that time, and
// what GetMetricSpec answered each time at once. What is right is not decided here.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// For all calls about one trigger; the contract's own times are tested elsewhere.
const deadline = 10 * time.Second

type trigger struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Metadata  map[string]string `json:"metadata"`
}

// What a method answered: a code by its name, and its message or what it brought.
type answer struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Value   any    `json:"value"`
}

type spec struct {
	Name   string  `json:"name"`
	Whole  int64   `json:"whole"`
	Target float64 `json:"target"`
}

func answered(value any, err error) answer {
	if err != nil {
		refused := status.Convert(err)
		return answer{Code: refused.Code().String(), Message: refused.Message()}
	}
	return answer{Code: "OK", Value: value}
}

// The answers of all five methods, in the order in which KEDA comes to call them.
func ask(client externalscaler.ExternalScalerClient, of trigger) map[string]answer {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	object := &externalscaler.ScaledObjectRef{
		Name: of.Name, Namespace: of.Namespace, ScalerMetadata: of.Metadata,
	}
	answers := map[string]answer{}

	response, err := client.GetMetricSpec(ctx, object)
	specs := specsOf(response)
	answers["GetMetricSpec"] = answered(specs, err)

	name := "none"
	if len(specs) > 0 {
		name = specs[0].Name
	}
	metrics, err := client.GetMetrics(ctx, &externalscaler.GetMetricsRequest{
		ScaledObjectRef: object, MetricName: name,
	})
	values := []float64{}
	for _, one := range metrics.GetMetricValues() {
		values = append(values, one.MetricValueFloat)
	}
	answers["GetMetrics"] = answered(values, err)

	active, err := client.IsActive(ctx, object)
	answers["IsActive"] = answered(active.GetResult(), err)

	pushed, err := client.StreamIsActive(ctx, object)
	if err == nil {
		active, err = pushed.Recv()
	}
	answers["StreamIsActive"] = answered(active.GetResult(), err)

	streamed, err := client.StreamMetricSpec(ctx, object)
	if err == nil {
		response, err = streamed.Recv()
	}
	answers["StreamMetricSpec"] = answered(len(response.GetMetricSpecs()), err)
	return answers
}

// A message of StreamMetricSpec: after how many seconds it came, and what GetMetricSpec says then.
type message struct {
	After  float64 `json:"after"`
	Specs  []spec  `json:"specs"`
	Unary  []spec  `json:"unary"`
	Failed string  `json:"failed"`
}

func specsOf(response *externalscaler.GetMetricSpecResponse) []spec {
	specs := []spec{}
	for _, one := range response.GetMetricSpecs() {
		specs = append(specs, spec{one.MetricName, one.TargetSize, one.TargetSizeFloat})
	}
	return specs
}

// What comes on StreamMetricSpec until the time is over, which is no failure.
func watch(client externalscaler.ExternalScalerClient, of trigger, until time.Duration) []message {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), until)
	defer cancel()
	object := &externalscaler.ScaledObjectRef{
		Name: of.Name, Namespace: of.Namespace, ScalerMetadata: of.Metadata,
	}
	messages := []message{}
	streamed, err := client.StreamMetricSpec(ctx, object)
	for err == nil {
		var response, unary *externalscaler.GetMetricSpecResponse
		if response, err = streamed.Recv(); err != nil {
			break
		}
		after := time.Since(start).Seconds()
		now, done := context.WithTimeout(context.Background(), deadline)
		unary, err = client.GetMetricSpec(now, object)
		done()
		messages = append(messages, message{after, specsOf(response), specsOf(unary), ""})
	}
	if ctx.Err() == nil {
		messages = append(messages, message{Failed: err.Error()})
	}
	return messages
}

func run(address, path, until string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var triggers []trigger
	if err := json.Unmarshal(text, &triggers); err != nil {
		return err
	}
	// As KEDA dials: every address of the name, in turn.
	connection, err := grpc.NewClient("dns:///"+address,
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := externalscaler.NewExternalScalerClient(connection)
	if until != "" {
		time, err := time.ParseDuration(until)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(watch(client, triggers[0], time))
	}
	answers := []map[string]answer{}
	for _, of := range triggers {
		answers = append(answers, ask(client, of))
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func main() {
	if len(os.Args) != 3 && len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: keda HOST:PORT TRIGGERS.json [DURATION]")
		os.Exit(2)
	}
	until := ""
	if len(os.Args) == 4 {
		until = os.Args[3]
	}
	if err := run(os.Args[1], os.Args[2], until); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
