// Original file: proto/mesh.proto


export interface DescribeRequest {
}

export interface DescribeRequest__Output {
}
