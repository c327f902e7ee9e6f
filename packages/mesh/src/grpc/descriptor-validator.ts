/** A registry of services that is made of their protobuf descriptors. */
import type { ServiceMethods } from '@waybill/common/grpc/service-methods.ts';
import type { RegistryValidator } from '../registry.ts';

/**
 * Creates a validator that finds a call registered when `services` has its service, by its namespace, its method, and an
 * input of the type that the method takes. A call without an input has one in which no field is set.
 */
export function createDescriptorValidator(services: ServiceMethods): RegistryValidator {
  return ({ namespace, service, method_name, input }) => {
    const name = `${service?.namespace || namespace}.${service?.service_name}`;
    const methods = name.startsWith(`${namespace}.`) ? services.get(name) : undefined;
    if (!methods) return name;
    const method = methods.get(method_name);
    if (!method) return `${name}.${method_name}`;
    const given = input ? input.type_url.slice(input.type_url.lastIndexOf('/') + 1) : method.input;
    if (given === method.input) return undefined;
    return `${name}.${method_name} of a ${given || 'message without a type'}: it takes a ${method.input}`;
  };
}
