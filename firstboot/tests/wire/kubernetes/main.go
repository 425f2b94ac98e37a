// Kubernetes' own encoders and decoders as judges of the relay's.
//
//	write FOLDER   answers as an API server writes them, and facts.json: what is in them
//	read FOLDER    reads what the relay wrote, as client-go does, and prints what is in it
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	restwatch "k8s.io/client-go/rest/watch"
)

const mediaType = "application/vnd.kubernetes.protobuf"

var core = schema.GroupVersion{Version: "v1"}

type objectFacts struct{ Name, Namespace, UID, ResourceVersion string }

type listFacts struct {
	Kind, ResourceVersion string
	Continues             bool
	Items                 []objectFacts
}

type eventFacts struct {
	Type, Kind       string
	Object           objectFacts
	InitialEventsEnd bool
	Code             int32
	Reason           string
}

type statusFacts struct {
	Code              int32
	Reason, Message   string
	RetryAfterSeconds int32
}

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "write":
		err = write(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "read":
		err = read(os.Args[2])
	default:
		err = fmt.Errorf("usage: wire write|read FOLDER")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// codecs are those of an API server, with or without the encoder that writes a list item by item.
func codecs(options ...serializer.CodecFactoryOptionsMutator) (serializer.CodecFactory, runtime.SerializerInfo) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, authenticationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	metav1.AddToGroupVersion(scheme, core)
	factory := serializer.NewCodecFactory(scheme, options...)
	info, found := runtime.SerializerInfoForMediaType(factory.SupportedMediaTypes(), mediaType)
	if !found {
		panic("no protobuf")
	}
	return factory, info
}

func encode(object runtime.Object, version schema.GroupVersion, options ...serializer.CodecFactoryOptionsMutator) []byte {
	factory, info := codecs(options...)
	body, err := runtime.Encode(factory.EncoderForVersion(info.Serializer, version), object)
	if err != nil {
		panic(err)
	}
	return body
}

func factsOf(object runtime.Object) objectFacts {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return objectFacts{}
	}
	return objectFacts{accessor.GetName(), accessor.GetNamespace(), string(accessor.GetUID()), accessor.GetResourceVersion()}
}

func listFactsOf(kind string, list runtime.Object) listFacts {
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		panic(err)
	}
	facts := listFacts{Kind: kind, ResourceVersion: accessor.GetResourceVersion(), Continues: accessor.GetContinue() != "", Items: []objectFacts{}}
	if err := meta.EachListItem(list, func(object runtime.Object) error {
		facts.Items = append(facts.Items, factsOf(object))
		return nil
	}); err != nil {
		panic(err)
	}
	return facts
}

// frames writes events as the API server does (endpoints/handlers/response.go, watchEncoder).
func frames(events []watch.Event) []byte {
	factory, info := codecs()
	var stream bytes.Buffer
	framer := info.StreamSerializer.Framer.NewFrameWriter(&stream)
	outer := factory.EncoderForVersion(info.StreamSerializer.Serializer, core)
	for _, event := range events {
		raw := encode(event.Object, core)
		out := &metav1.WatchEvent{Type: string(event.Type), Object: runtime.RawExtension{Raw: raw}}
		frame, err := runtime.Encode(outer, out)
		if err != nil {
			panic(err)
		}
		if _, err := framer.Write(frame); err != nil {
			panic(err)
		}
	}
	return stream.Bytes()
}

func eventFactsOf(kind watch.EventType, object runtime.Object) eventFacts {
	facts := eventFacts{Type: string(kind), Object: factsOf(object)}
	if status, ok := object.(*metav1.Status); ok {
		return eventFacts{Type: string(kind), Kind: "Status", Code: status.Code, Reason: string(status.Reason)}
	}
	if accessor, err := meta.Accessor(object); err == nil {
		facts.InitialEventsEnd = accessor.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
	}
	kinds, _, err := scheme().ObjectKinds(object)
	if err != nil {
		panic(err)
	}
	facts.Kind = kinds[0].Kind
	return facts
}

func scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		panic(err)
	}
	return scheme
}

func write(folder string) error {
	answers, facts := answers()
	text, err := json.MarshalIndent(facts, "", "  ")
	if err != nil {
		return err
	}
	answers["facts.json"] = append(text, '\n')
	for name, body := range answers {
		if err := os.WriteFile(filepath.Join(folder, name), body, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// read decodes what the relay wrote, as a client does.
func read(folder string) error {
	facts := map[string]any{}
	factory, info := codecs()
	decoder := factory.UniversalDeserializer()
	for _, name := range []string{"pods.list", "none.list"} {
		body, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		list, kind, err := decoder.Decode(body, nil, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		facts[name] = listFactsOf(kind.Kind, list)
	}
	for _, name := range []string{"status.object", "status.json"} {
		body, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		object, _, err := decoder.Decode(body, nil, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		facts[name] = statusFactsOf(object.(*metav1.Status))
	}
	stream, err := os.Open(filepath.Join(folder, "pods.watch"))
	if err != nil {
		return err
	}
	reader := info.StreamSerializer.Framer.NewFrameReader(stream)
	outer := streaming.NewDecoder(reader, factory.DecoderToVersion(info.StreamSerializer.Serializer, core))
	events := restwatch.NewDecoder(outer, decoder)
	read := []eventFacts{}
	for {
		kind, object, err := events.Decode()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("pods.watch: %w", err)
		}
		read = append(read, eventFactsOf(kind, object))
	}
	facts["pods.watch"] = read
	text, err := json.Marshal(facts)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

func statusFactsOf(status *metav1.Status) statusFacts {
	facts := statusFacts{Code: status.Code, Reason: string(status.Reason), Message: status.Message}
	if status.Details != nil {
		facts.RetryAfterSeconds = status.Details.RetryAfterSeconds
	}
	return facts
}
