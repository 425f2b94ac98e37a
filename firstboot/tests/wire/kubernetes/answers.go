package main

import (
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

func at(second int64) metav1.Time { return metav1.NewTime(time.Unix(second, 0)) }

// pod has a bit of everything that pods have.
func pod(name, version string) *corev1.Pod {
	created, seconds, yes := at(1767225600), int64(3607), true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, GenerateName: "till-", Namespace: "shop", UID: types.UID("uid-of-" + name),
			ResourceVersion: version, Generation: 1, CreationTimestamp: created,
			Labels:          map[string]string{"app": "till", "pod-template-hash": "6c4b"},
			Annotations:     map[string]string{"note": "für den Laden", "long": strings.Repeat("x", 300)},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "till", UID: "r", Controller: &yes}},
			ManagedFields: []metav1.ManagedFieldsEntry{{
				Manager: "kubelet", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &created,
				FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:status":{}}`)}, Subresource: "status",
			}},
		},
		Spec: corev1.PodSpec{
			NodeName: "pole-7", ServiceAccountName: "till",
			Containers: []corev1.Container{{
				Name: "till", Image: "registry.example.org/till:3",
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"memory": resource.MustParse("64Mi")}},
			}},
			Volumes: []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
				Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &seconds, Path: "token"}}},
			}}}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.7", StartTime: &created,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastProbeTime: created}},
		},
	}
}

// changed is pod "till-0" after one change.
func changed(change func(*corev1.Pod)) *corev1.Pod {
	pod := pod("till-0", "1007")
	change(pod)
	return pod
}

func node(heartbeat int64, ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "pole-7", UID: "n", ResourceVersion: "31"},
		Spec:       corev1.NodeSpec{PodCIDR: "10.0.0.0/24"},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: ready, LastHeartbeatTime: at(heartbeat),
		}}},
	}
}

func tokenRequest(seconds int64) *authenticationv1.TokenRequest {
	return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{"https://kubernetes.default.svc"}, ExpirationSeconds: &seconds,
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: "till-0", UID: "uid-of-till-0"},
	}}
}

func unavailable() *metav1.Status {
	return &metav1.Status{
		Status: metav1.StatusFailure, Code: 503, Reason: metav1.StatusReasonServiceUnavailable,
		Message: "the control plane cannot be reached", Details: &metav1.StatusDetails{RetryAfterSeconds: 10},
	}
}

func events() []watch.Event {
	mark := func(version string, annotations map[string]string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version, Annotations: annotations}}
	}
	expired := &metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired, Message: "too old resource version"}
	return []watch.Event{
		{Type: watch.Added, Object: pod("till-0", "1001")},
		{Type: watch.Bookmark, Object: mark("1002", map[string]string{"a": "b", metav1.InitialEventsAnnotationKey: "true", "z": ""})},
		{Type: watch.Modified, Object: pod("till-0", "1003")},
		{Type: watch.Bookmark, Object: mark("1004", nil)},
		{Type: watch.Deleted, Object: pod("till-0", "1005")},
		{Type: watch.Error, Object: expired},
	}
}

// answers are bodies by the name of their file, and what is in them.
func answers() (map[string][]byte, map[string]any) {
	pods := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "4711"}}
	for _, name := range []string{"till-0", "till-1", "till-2"} {
		pods.Items = append(pods.Items, *pod(name, "1001"))
	}
	remaining := int64(40)
	page := pods.DeepCopy()
	page.Continue, page.RemainingItemCount = "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", &remaining
	none := &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "4712"}, Items: []corev1.Secret{}}
	bodies := map[string][]byte{
		"pods.list":          encode(pods, core),
		"pods-streamed.list": encode(pods, core, serializer.WithStreamingCollectionEncodingToProtobuf()),
		"page.list":          encode(page, core),
		"none.list":          encode(none, core),
		"pods.watch":         frames(events()),
		"status.object":      encode(unavailable(), core),
		"token.request":      encode(tokenRequest(3607), authenticationv1.SchemeGroupVersion),
		"token-long.request": encode(tokenRequest(7207), authenticationv1.SchemeGroupVersion),
		"free.request":       encode(&authenticationv1.TokenRequest{}, authenticationv1.SchemeGroupVersion),
	}
	facts := map[string]any{
		"pods.list":          listFactsOf("PodList", pods),
		"pods-streamed.list": listFactsOf("PodList", pods),
		"page.list":          listFactsOf("PodList", page),
		"none.list":          listFactsOf("SecretList", none),
		"status.object":      statusFactsOf(unavailable()),
		"pods.watch":         []eventFacts{},
	}
	for _, event := range events() {
		facts["pods.watch"] = append(facts["pods.watch"].([]eventFacts), eventFactsOf(event.Type, event.Object))
	}
	for name, object := range objects() {
		bodies[name+".object"] = encode(object, core)
		facts[name+".object"] = factsOf(object)
	}
	return bodies, facts
}

// objects are the same pod and node before and after one change each.
func objects() map[string]runtime.Object {
	return map[string]runtime.Object{
		"pod": pod("till-0", "1001"),
		"pod-versions": changed(func(pod *corev1.Pod) {
			pod.Generation, pod.ManagedFields = 9, nil
		}),
		"pod-unready": changed(func(pod *corev1.Pod) {
			pod.Status.PodIP, pod.Status.Conditions[0].Status = "10.0.0.9", corev1.ConditionFalse
		}),
		"pod-done":     changed(func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodSucceeded }),
		"pod-image":    changed(func(pod *corev1.Pod) { pod.Spec.Containers[0].Image = "registry.example.org/till:4" }),
		"pod-label":    changed(func(pod *corev1.Pod) { pod.Labels["app"] = "tills" }),
		"pod-deleting": changed(func(pod *corev1.Pod) { deleted := at(1767229200); pod.DeletionTimestamp = &deleted }),
		"pod-uid":      changed(func(pod *corev1.Pod) { pod.UID = "another" }),
		"node":         node(1767225600, corev1.ConditionTrue),
		"node-later":   node(1767229200, corev1.ConditionFalse),
	}
}
