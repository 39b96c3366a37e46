"""What the kernel's rules should be, from Services, EndpointSlices, pods and policies. Pure: values in, values out."""
